"""Fetching what a model misses, one writer at a time."""

import contextlib
import hashlib
import threading

import pytest

from deployments.weights import Progress, WeightsStore, fetch
from deployments.weights.download import Patience, part_of
from deployments.weights.layout import lock_of
from deployments.weights.locks import held, is_held
from inpaint.errors import DownloadError, WeightsCorruptError
from inpaint.specs import ModelSpec
from inpaint.states import ModelState
from tests.weights_server import Fault, weights_server

CONTENT = b"numbers, and nothing else" * 5000
HASTE = Patience(connect_s=1, stall_s=0.2, attempts=2, pause_s=0)


@pytest.fixture(scope="module")
def running():
    with weights_server() as server:
        yield server


@pytest.fixture
def server(running, monkeypatch):
    running.clear()
    for name in ("TOY_MODEL_URL", "TOY_MODEL_MD5"):
        monkeypatch.delenv(name, raising=False)
    return running


@pytest.fixture
def store(tmp_path):
    return WeightsStore(tmp_path)


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def spec_of(weights=(), repository=None):
    return ModelSpec.model_validate(
        {
            "name": "toy",
            "family": "Erase",
            "kind": "erase",
            "runner": "some.module:Toy",
            "licence": {"name": "MIT"},
            "memory_mb": 1,
            "weights": weights,
            "repository": repository,
        }
    )


def file_spec(server, content=CONTENT, **more):
    url = server.put("/a/toy.pt", content)
    return spec_of([{"env": "TOY", "url": url, "md5": md5(CONTENT)} | more])


def get(spec, store):
    told = []
    fetch(spec, store, told.append, HASTE)
    return told


def test_fetched_file_is_downloaded_and_verified_without_a_second_reading(
    server, store, monkeypatch
):
    spec = file_spec(server)
    told = get(spec, store)
    assert told[-1] == Progress("toy.pt", len(CONTENT), len(CONTENT))
    assert store.state(spec) is ModelState.DOWNLOADED
    assert store.size_on_disk(spec) == len(CONTENT)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert store.verified(spec) == [store.checkpoints / "toy.pt"]


def test_every_missing_file_is_fetched_and_no_other(server, store):
    urls = [server.put(f"/{n}.pt", bytes([n])) for n in (1, 2, 3)]
    spec = spec_of([{"env": f"TOY{n}", "url": url} for n, url in enumerate(urls)])
    store.checkpoints.mkdir(parents=True)
    (store.checkpoints / "2.pt").write_bytes(b"mine")
    assert {one.file for one in get(spec, store)} == {"1.pt", "3.pt"}
    assert (store.checkpoints / "2.pt").read_bytes() == b"mine"
    assert store.size_on_disk(spec) == 6


def test_what_is_here_needs_no_server(server, store):
    spec = file_spec(server)
    get(spec, store)
    server.asked.clear()
    assert get(spec, store) == []
    assert server.asked == []


def test_damaged_file_that_was_here_is_told_and_kept(server, store):
    spec = file_spec(server)
    store.checkpoints.mkdir(parents=True)
    (store.checkpoints / "toy.pt").write_bytes(b"mine")
    with pytest.raises(WeightsCorruptError, match="Delete it"):
        get(spec, store)
    assert (store.checkpoints / "toy.pt").read_bytes() == b"mine"


def test_url_override_is_fetched_under_its_own_name(server, store, monkeypatch):
    spec = file_spec(server)
    url = server.put("/b/mine.pt", b"my own numbers")
    monkeypatch.setenv("TOY_MODEL_URL", url + "?token=secret")
    get(spec, store)
    assert (store.checkpoints / "mine.pt").read_bytes() == b"my own numbers"


def test_md5_override_is_checked(server, store, monkeypatch):
    spec = file_spec(server)
    monkeypatch.setenv("TOY_MODEL_MD5", "0" * 32)
    with pytest.raises(DownloadError, match="instead of 00000"):
        get(spec, store)
    assert store.state(spec) is ModelState.MISSING


def test_override_is_not_told_to_clients(server, store, monkeypatch):
    spec = file_spec(server)
    monkeypatch.setenv("TOY_MODEL_URL", f"{server.url}/secret/mine.pt")
    with pytest.raises(DownloadError, match="what TOY_MODEL_URL names: the server answered 404"):
        get(spec, store)


@pytest.mark.parametrize("url", ["/nowhere/toy.pt", "file:///etc/passwd", "ftp://host/toy.pt"])
def test_only_http_addresses_are_fetched(server, store, monkeypatch, url):
    spec = file_spec(server)
    monkeypatch.setenv("TOY_MODEL_URL", url)
    with pytest.raises(DownloadError, match="neither a file that is there nor an http"):
        get(spec, store)


def test_parts_and_locks_are_no_weights(server, store):
    spec = file_spec(server)
    server.fail("/a/toy.pt", *[Fault(cut_after=1000)] * 2)
    with pytest.raises(DownloadError):
        get(spec, store)
    assert part_of(store.checkpoints / "toy.pt").exists()
    assert store.state(spec) is ModelState.MISSING
    assert store.size_on_disk(spec) is None


def test_nothing_is_printed(server, store, capfd):
    get(file_spec(server), store)
    assert capfd.readouterr() == ("", "")


def test_folder_that_cannot_be_made_is_told(server, tmp_path):
    (tmp_path / "torch").write_bytes(b"a file in the folder's place")
    with pytest.raises(DownloadError, match="cannot be written"):
        get(file_spec(server), WeightsStore(tmp_path))


@contextlib.contextmanager
def somebody_holding(path):
    """Another thread that holds a lock until the block ends."""
    is_in, may_end = threading.Event(), threading.Event()

    def hold():
        with held(path, lambda: None):
            is_in.set()
            may_end.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_in.wait(10)
    try:
        yield may_end
    finally:
        may_end.set()
        thread.join()


def test_lock_is_held_until_its_holder_ends(tmp_path):
    path = tmp_path / "locks/a.lock"
    assert not is_held(path)
    assert not path.exists()
    with somebody_holding(path):
        assert is_held(path)
    assert not is_held(path)


def test_second_writer_waits_and_finds_the_file(server, store, monkeypatch):
    monkeypatch.setattr("deployments.weights.locks.POLL_S", 0.05)
    spec = file_spec(server)
    target = store.checkpoints / "toy.pt"
    target.parent.mkdir(parents=True)
    part_of(target).write_bytes(b"12345")
    told = []
    with somebody_holding(lock_of(target)) as let_go:
        assert store.state(spec) is ModelState.DOWNLOADING

        def take_note(progress):
            told.append(progress)
            target.write_bytes(CONTENT)  # the other one has ended
            let_go.set()

        fetch(spec, store, take_note, HASTE)
    assert told[0] == Progress("toy.pt", 5, None, is_elsewhere=True)  # how far the other one is
    assert server.asked == []
    assert store.state(spec) is ModelState.DOWNLOADED
