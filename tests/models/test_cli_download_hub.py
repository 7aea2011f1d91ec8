"""`download` of hub repositories with the real huggingface_hub, from a hub on this machine."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serve_app.cli import app
from serve_app.cli.catalogs import known_models
from tests.checkpoint_heads import pipeline_files
from tests.weights_server import weights_server

CONTENT = b"numbers, and nothing else" * 5000  # 125 kB


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models"


def download(folder, *arguments):
    return CliRunner().invoke(app, ["download", f"--model-dir={folder}", *arguments])


@pytest.fixture
def hub(monkeypatch):
    """A model hub on the loopback interface."""
    with weights_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_any_repository_of_the_hub_can_be_fetched_and_is_found_then(hub, folder):
    hub.put_repository("someone/some-model", pipeline_files())
    result = download(folder, "--model=someone/some-model")
    assert result.exit_code == 0, result.stderr
    assert "someone/some-model: downloaded" in result.stdout
    assert "of family SD15" in result.stdout
    names = [spec.name for spec in known_models(model_dir=folder).models]
    assert "someone/some-model" in names
    again = download(folder, "--model=someone/some-model")
    assert "is here already" in again.stdout


def test_a_repository_of_something_else_is_fetched_and_said_to_be_of_no_use(hub, folder):
    files = {"config.json": b"{}", "model.safetensors": b"0"}
    hub.put_repository("someone/words", files)
    result = download(folder, "--model=someone/words")
    assert result.exit_code == 0, result.stderr
    assert "no model that can be served" in result.stdout


def test_an_adapter_is_fetched_like_a_model(hub, folder):
    name = "latent-consistency/lcm-lora-sdv1-5"
    hub.put_repository(name, {"pytorch_lora_weights.safetensors": CONTENT, "image.png": b"0"})
    result = download(folder, f"--model={name}")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{name}: downloaded, 125.0 kB in {folder}.\n"


PUBLISHED = json.loads(
    (Path(__file__).parents[1] / "data/hub_repositories.json").read_text(encoding="utf-8")
)["repositories"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_of_a_published_repository_only_what_is_read_is_fetched(hub, folder, name):
    contents = {"model_index.json": b'{"_class_name": "AnyText"}'}
    files = {file: contents.get(file, b"{}") for file in PUBLISHED[name]["files"]}
    hub.put_repository(name, files)
    result = download(folder, f"--model={name}")
    assert result.exit_code == 0, result.stderr
    repository = folder / "huggingface/hub" / f"models--{name.replace('/', '--')}"
    [snapshot] = (repository / "snapshots").iterdir()
    fetched = {p.relative_to(snapshot).as_posix() for p in snapshot.rglob("*") if p.is_file()}
    assert fetched == set(PUBLISHED[name]["read"])
    assert "is here already" in download(folder, f"--model={name}").stdout


def test_checkpoints_of_their_own_are_fetched_by_either_name(hub, folder):
    repository = "Sanster/PowerPaint-V1-stable-diffusion-inpainting"
    hub.put_repository(repository, pipeline_files())
    assert download(folder, "--model=powerpaint").stdout.startswith("powerpaint: downloaded")
    assert download(folder, f"--model={repository}").stdout.startswith("powerpaint: is here")
    listed = CliRunner().invoke(app, ["list", "--json", f"--model-dir={folder}"]).stdout
    states = {entry["name"]: entry["state"] for entry in json.loads(listed)}
    assert (states["powerpaint"], states["anytext"]) == ("downloaded", "missing")
    assert repository not in states  # not found a second time


def test_a_repository_that_the_hub_does_not_have_is_named(hub, folder):
    result = download(folder, "--model=someone/nothing")
    assert result.exit_code == 1
    assert "someone/nothing" in result.stderr
