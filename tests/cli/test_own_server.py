"""The server that `run` and `bench` start for themselves, without Ray."""

import os
import sys

import pytest
from typer.testing import CliRunner

from serve_app import launch, session
from serve_app.cli import app, own_server, start_config
from serve_app.cli.own_server import OwnServer, config_of, running
from serve_app.cli.start_options import StartError
from serve_app.config_check import check
from tests.conftest import png
from tests.weights_server import weights_server

DOCUMENT = {"http_options": {"host": "127.0.0.1", "port": 1}}


def families(document):
    [application] = start_config.applications(document)
    return {family["deployment"] for family in start_config.families(application)}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_it_has_the_families_of_its_models_and_no_others(cache):
    document = config_of(OwnServer(["cv2"]))
    assert families(document) == {"Erase"}
    assert check(document, insecure=False) == []
    assert document["http_options"]["host"] == "127.0.0.1"
    assert launch.is_port_free("127.0.0.1", document["http_options"]["port"])
    two = config_of(OwnServer(["cv2", "runwayml/stable-diffusion-inpainting"]))
    assert families(two) == {"Erase", "SD15"}
    assert families(config_of(OwnServer(["cv2"], reads_text=True))) == {"Erase", "OCR"}


def test_it_knows_no_model_that_start_does_not(cache):
    with pytest.raises(StartError, match="no model is called 'nope'"):
        config_of(OwnServer(["nope"]))


@pytest.fixture
def words(cache, photo, monkeypatch):
    """A `run` that would start a server for lama; what that raises shows that it came to it."""

    def start(document):
        raise StartError("it would be started now")

    monkeypatch.setattr(own_server, "running", start)
    for name in ("photo", "mask"):
        (cache / f"{name}.png").write_bytes(png(photo))
    return [
        "run",
        f"--image={cache}/photo.png",
        f"--mask={cache}/mask.png",
        f"--output={cache}/out",
    ]


def test_missing_weights_are_fetched_before_it_starts(cache, words, monkeypatch):
    content = os.urandom(1000)
    with weights_server() as server:
        monkeypatch.setenv("LAMA_MODEL_URL", server.put("/big-lama.pt", content))
        monkeypatch.setenv("LAMA_MODEL_MD5", "")
        done = CliRunner().invoke(app, words)
    assert (done.exit_code, "it would be started now" in done.stderr) == (1, True), done.output
    [file] = (cache / "cache").rglob("big-lama.pt")
    assert file.read_bytes() == content


def test_weights_that_cannot_be_fetched_are_told_and_nothing_starts(words, monkeypatch):
    with weights_server() as server:
        monkeypatch.setenv("LAMA_MODEL_URL", server.url + "/nothing.pt")
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "lama: " in done.stderr
    assert "it would be started" not in done.stderr


def test_a_server_that_does_not_start_has_its_last_words_told(monkeypatch):
    command = [sys.executable, "-c", "print('no port left'); raise SystemExit(3)"]
    monkeypatch.setattr(launch, "written_command", lambda document, folder: command)
    with pytest.raises(StartError) as caught, running(DOCUMENT):
        pytest.fail("it is not ready")
    assert caught.value.args[-1] == "no port left"


@pytest.mark.parametrize("leave", [None, KeyboardInterrupt])
def test_it_ends_with_the_block(monkeypatch, leave, tmp_path):
    code = (
        "import os, subprocess, sys, time, pathlib\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)"
    )
    monkeypatch.setattr(launch, "written_command", lambda *given: [sys.executable, "-c", code])
    monkeypatch.setattr(launch, "is_ready", lambda url: bool(pid_in(tmp_path)))
    monkeypatch.setattr(launch, "LOOK_EVERY_S", 0.02)

    def use():
        with running(DOCUMENT) as url:
            assert url == "http://127.0.0.1:1"
            assert os.getsid(pid_in(tmp_path)) == pid_in(tmp_path)
            if leave:
                raise leave

    if leave:
        with pytest.raises(leave):
            use()
    else:
        use()
    assert session.members(pid_in(tmp_path)) == []


def pid_in(folder):
    path = folder / "pid"
    return int(path.read_text() or 0) if path.exists() else 0
