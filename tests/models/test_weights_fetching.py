"""Fetching as it happens: hub repositories through huggingface_hub, and two processes at once."""

import errno
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deployments.weights import Progress, WeightsStore, fetch
from deployments.weights.layout import lock_of
from inpaint.errors import DownloadError, ExtraMissingError
from inpaint.states import ModelState
from tests.unit.test_weights_fetching import CONTENT, file_spec, somebody_holding, spec_of
from tests.unit.test_weights_hub import FP16, FULL, INDEX, NEVER, SMALL
from tests.weights_server import Fault, commit_of, weights_server

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def running():
    with weights_server() as server:
        yield server


@pytest.fixture
def server(running, monkeypatch):
    running.clear()
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", running.url)
    return running


@pytest.fixture
def store(tmp_path):
    return WeightsStore(tmp_path)


def get(spec, store):
    told = []
    fetch(spec, store, told.append)
    return told


def test_two_processes_at_once_fetch_the_file_once(server, tmp_path):
    spec = file_spec(server)
    code = (
        "import sys; from pathlib import Path\n"
        "from deployments.weights import WeightsStore, fetch\n"
        "from inpaint.specs import ModelSpec\n"
        "spec = ModelSpec.model_validate_json(sys.argv[1])\n"
        "fetch(spec, WeightsStore(Path(sys.argv[2])), lambda progress: None)\n"
    )
    server.gate.clear()
    command = [sys.executable, "-c", code, spec.model_dump_json(), str(tmp_path)]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    end = time.monotonic() + 30
    while not server.asked and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.3)
    server.gate.set()
    assert [process.wait(30) for process in processes] == [0, 0]
    assert len(server.requests_of("/a/toy.pt")) == 1
    assert (tmp_path / "torch/hub/checkpoints/toy.pt").read_bytes() == CONTENT


def pipeline(weights):
    files = {name: f"{name} ".encode() * 50 for name in [*SMALL, *weights, *NEVER]}
    return files | {"model_index.json": json.dumps(INDEX).encode()}


def hub_spec(**more):
    return spec_of(repository={"repo_id": "org/name", "mirrors": ["other/copy"]} | more)


def test_repository_is_fetched_in_the_hubs_layout(server, store):
    files = pipeline(FP16 + FULL)
    server.put_repository("org/name", files)
    told = get(hub_spec(), store)
    (snapshot,) = store.verified(hub_spec())
    assert snapshot.parents[1] == store.hub / "models--org--name"
    found = {p.relative_to(snapshot).as_posix() for p in snapshot.rglob("*") if p.is_file()}
    assert found == {*SMALL, *FP16}
    assert all((snapshot / name).read_bytes() == files[name] for name in found)
    size = sum(len(files[name]) for name in found)
    assert told[-1] == Progress("org/name", size, size)
    assert all(0 <= one.done_bytes <= size for one in told)
    assert store.size_on_disk(hub_spec()) == size


def test_only_what_a_loader_reads_is_asked_for(server, store):
    server.put_repository("org/name", pipeline(FP16))
    get(hub_spec(), store)
    asked = {asked.path.partition("/resolve/")[2].partition("/")[2] for asked in server.asked}
    assert asked - {""} == {*SMALL, *FP16}


def test_missing_mirrors_are_passed_over(server, store):
    server.put_repository("other/copy", pipeline(FULL))
    get(hub_spec(), store)
    (snapshot,) = store.verified(hub_spec())
    assert snapshot.parents[1].name == "models--other--copy"
    assert [path.name for path in store.hub.glob("models--*")] == ["models--other--copy"]


def test_repository_that_nobody_has_is_told(server, store):
    with pytest.raises(DownloadError, match="none of org/name, other/copy") as caught:
        get(hub_spec(), store)
    assert "127.0.0.1" not in caught.value.detail
    assert store.state(hub_spec()) is ModelState.MISSING


def test_hub_in_trouble_is_told(server, store):
    server.put_repository("org/name", pipeline(FP16))
    server.fail("/api/models/org/name/tree/main", *[Fault(status=418)] * 9)
    with pytest.raises(DownloadError, match="org/name could not be fetched from the hub: it answ"):
        get(hub_spec(), store)


def test_interrupted_repository_is_missing_and_then_completed(server, store):
    server.put_repository("org/name", pipeline(FP16))
    commit = commit_of(server.repositories["org/name"])
    unet = f"/org/name/resolve/{commit}/{FP16[1]}"
    server.fail(unet, *[Fault(status=418)] * 9)
    with pytest.raises(DownloadError, match="it answered 418"):
        get(hub_spec(), store)
    assert store.state(hub_spec()) is ModelState.MISSING
    server.faults.clear()
    server.asked.clear()
    told = get(hub_spec(), store)
    assert store.state(hub_spec()) is ModelState.DOWNLOADED
    assert told[-1].done_bytes == told[-1].total_bytes
    assert [asked.path for asked in server.asked if asked.method == "GET" and asked.path == unet]


def test_repository_without_weights_that_we_read_is_told(server, store):
    server.put_repository("org/name", pipeline([]))
    with pytest.raises(DownloadError, match="holds no weights"):
        get(hub_spec(), store)
    assert store.state(hub_spec()) is ModelState.MISSING


def test_second_process_waits_for_a_repository(server, store, monkeypatch):
    monkeypatch.setattr("deployments.weights.locks.POLL_S", 0.05)
    server.put_repository("org/name", pipeline(FP16))
    told = []
    with somebody_holding(lock_of(store.hub / "models--org--name")) as let_go:
        assert store.state(hub_spec()) is ModelState.DOWNLOADING

        def take_note(progress):
            told.append(progress)
            let_go.set()

        fetch(hub_spec(), store, take_note)
    assert told[0] == Progress("org/name", 0, None, is_elsewhere=True)
    assert store.state(hub_spec()) is ModelState.DOWNLOADED


def test_full_disk_under_a_repository_is_told_and_given_back(server, store, monkeypatch):
    server.put_repository("org/name", pipeline(FP16))
    folder = store.hub / "models--org--name/blobs"

    def full(**_):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "abc.incomplete").write_bytes(b"123")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    with pytest.raises(DownloadError, match="disk of the model directory is full"):
        get(hub_spec(), store)
    assert not list(folder.glob("*.incomplete"))


def test_package_for_hub_repositories_is_named_where_it_is_missing(server, store, monkeypatch):
    monkeypatch.setattr("deployments.weights.hub_download.find_spec", lambda name: None)
    with pytest.raises(ExtraMissingError, match="pip install huggingface_hub"):
        get(hub_spec(), store)


def test_nothing_of_a_repository_is_printed(server, store, capfd):
    server.put_repository("org/name", pipeline(FP16))
    get(hub_spec(), store)
    assert capfd.readouterr() == ("", "")
