"""`download`: weights from a server on the loopback interface into an empty model directory."""

import hashlib

import pytest
import yaml
from typer.testing import CliRunner

from inpaint.resources import default_serve_config
from serve_app.cli import app
from tests.fakes import fake_spec
from tests.weights_server import Fault, weights_server

CONTENT = b"numbers, and nothing else" * 5000  # 125 kB
PATH = "/releases/big-lama.pt"


@pytest.fixture(scope="module")
def running():
    with weights_server() as server:
        yield server


@pytest.fixture
def server(running, monkeypatch):
    """Has the weights of lama."""
    running.clear()
    monkeypatch.setenv("LAMA_MODEL_URL", running.put(PATH, CONTENT))
    monkeypatch.setenv("LAMA_MODEL_MD5", hashlib.md5(CONTENT, usedforsecurity=False).hexdigest())
    return running


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models"


def checkpoint(folder):
    return folder / "torch/hub/checkpoints/big-lama.pt"


def download(folder, *arguments):
    return CliRunner().invoke(app, ["download", f"--model-dir={folder}", *arguments])


def test_weights_are_put_where_iopaint_keeps_them(server, folder):
    result = download(folder, "--model=lama")
    assert result.exit_code == 0, result.output
    assert checkpoint(folder).read_bytes() == CONTENT
    assert result.stdout == f"lama: downloaded, 125.0 kB in {folder}.\n"


def test_the_bar_names_the_file_and_how_much_came(server, folder):
    bar = download(folder, "--model=lama").stderr
    assert "big-lama.pt" in bar
    assert "125.0/125.0 kB" in bar


def test_weights_that_are_here_are_checked_and_not_fetched_again(server, folder):
    download(folder, "--model=lama")
    server.asked.clear()
    result = download(folder, "--model=lama")
    assert (result.exit_code, server.asked) == (0, [])
    assert "here already" in result.stdout


def test_weights_that_are_here_and_damaged_are_named(server, folder):
    checkpoint(folder).parent.mkdir(parents=True)
    checkpoint(folder).write_bytes(CONTENT[:-1])
    result = download(folder, "--model=lama")
    assert result.exit_code == 1
    assert "Delete it and fetch it again" in result.stderr
    assert str(checkpoint(folder)) in result.stderr


def test_a_model_without_weights_says_so(folder):
    result = download(folder, "--model=cv2", "--model=pp-ocrv6-small")
    assert result.exit_code == 0
    assert result.stdout == "cv2: needs no download.\npp-ocrv6-small: needs no download.\n"
    assert not folder.exists()


def test_a_failure_is_told_and_the_other_models_are_fetched(server, folder, monkeypatch):
    monkeypatch.setenv("ANIME_LAMA_MODEL_URL", f"{server.url}/nothing.pt")
    result = download(folder, "--model=anime-lama", "--model=lama")
    assert result.exit_code == 1
    assert "anime-lama: " in result.stderr
    assert "nothing.pt" in result.stderr
    assert checkpoint(folder).read_bytes() == CONTENT


def test_what_does_not_match_its_checksum_is_not_kept(server, folder, monkeypatch):
    monkeypatch.setenv("LAMA_MODEL_MD5", "0" * 32)
    result = download(folder, "--model=lama")
    assert result.exit_code == 1
    assert not checkpoint(folder).exists()


def test_a_broken_connection_is_gone_on_with(server, folder):
    server.fail(PATH, Fault(cut_after=60_000))
    assert download(folder, "--model=lama").exit_code == 0
    assert checkpoint(folder).read_bytes() == CONTENT
    assert "range" in {name.lower() for name in server.requests_of(PATH)[-1].headers}


def test_unknown_names_list_the_known_ones(folder):
    result = download(folder, "--model=lamma")
    assert result.exit_code == 1
    assert "'lamma'" in result.stderr
    assert "lama" in result.stderr.split("Known:")[1]
    assert "hub" not in result.stderr


def own_model(tmp_path, server):
    models = tmp_path / "mine"
    models.mkdir()
    url = server.put("/own.bin", CONTENT)
    spec = fake_spec("own", weights=[{"env": "OWN", "url": url}])
    entry = spec.model_dump(mode="json", exclude_defaults=True)
    (models / "own.yaml").write_text(yaml.safe_dump(entry))
    return models


def test_a_model_of_ones_own_is_fetched_by_its_folder_or_its_serve_config(server, tmp_path):
    models = own_model(tmp_path, server)
    assert download(tmp_path / "a", "--model=own").exit_code == 1
    result = download(tmp_path / "b", "--model=own", f"--model-folder={models}")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "b/torch/hub/checkpoints/own.bin").read_bytes() == CONTENT
    document = yaml.safe_load(default_serve_config().read_text())
    document["applications"][0]["args"].update(
        model_folders=[str(models)], model_dir=str(tmp_path / "c")
    )
    (tmp_path / "serve.yaml").write_text(yaml.safe_dump(document))
    arguments = ["download", "--model=own", f"--serve-config={tmp_path / 'serve.yaml'}"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "c/torch/hub/checkpoints/own.bin").read_bytes() == CONTENT


def test_what_is_no_serve_config_is_named(tmp_path, folder):
    path = tmp_path / "serve.yaml"
    path.write_text("[]")
    assert "--serve-config" in download(folder, "--model=own", f"--serve-config={path}").stderr
    assert download(folder, "--model=own", "--model-folder=nowhere").exit_code == 1


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_fetched(server, tmp_path):
    (tmp_path / "file").touch()
    result = download(tmp_path / "file" / "models", "--model=lama")
    assert (result.exit_code, server.asked) == (1, [])
    assert "nothing can be written" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--all", "--model=lama"]])
def test_either_names_or_all(folder, arguments):
    result = download(folder, *arguments)
    assert result.exit_code == 1
    assert "--model=NAME" in result.stderr
