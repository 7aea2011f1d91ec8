"""`list`: the models, and what this machine has of them."""

import json

import pytest
from typer.testing import CliRunner

from serve_app.cli import app
from serve_app.cli.catalogs import known_models
from tests.checkpoint_heads import sd15_shapes, write_repository, write_safetensors


@pytest.fixture
def folder(tmp_path):
    """A model directory that has lama only."""
    weights = tmp_path / "torch/hub/checkpoints/big-lama.pt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(bytes(2_500_000))
    return tmp_path


def run(*arguments):
    result = CliRunner().invoke(app, ["list", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


NAMES = ["name", "family", "state", "size", "licence", "commercial use"]
ADAPTER_NAMES = ["adapter", "role", "for", *NAMES[2:]]


def rows(text, names=NAMES):
    """Cells by the columns' places, which the head tells."""
    head, *lines = text.splitlines()
    places = [*(head.index(name) for name in names), None]
    return [
        {
            name: line[start:end].strip()
            for name, start, end in zip(names, places, places[1:], strict=False)
        }
        for line in lines
    ]


def test_every_model_has_a_row(folder):
    models, _ = run(f"--model-dir={folder}").split("\n\n")
    listed = {row["name"]: row for row in rows(models)}
    assert list(listed) == [spec.name for spec in known_models().models]
    assert listed["lama"] == {
        "name": "lama",
        "family": "Erase",
        "state": "downloaded",
        "size": "2.5 MB",
        "licence": "Apache-2.0",
        "commercial use": "yes",
    }
    assert (listed["manga"]["state"], listed["manga"]["size"]) == ("missing", "-")
    assert listed["manga"]["commercial use"] == "no"
    assert listed["anime-lama"]["commercial use"] == "not stated"


def test_what_goes_into_a_pipe_is_plain_and_keeps_to_one_line_a_model(folder):
    text = run(f"--model-dir={folder}")
    assert "\x1b" not in text
    assert "│" not in text
    models, adapters = text.split("\n\n")
    assert len(models.splitlines()) == 1 + len(known_models().models)
    assert len(adapters.splitlines()) == 1 + len(known_models().adapters)


def test_adapters_have_a_section_of_their_own(folder):
    lora = folder / "huggingface/hub/models--latent-consistency--lcm-lora-sdv1-5"
    write_repository(lora, {"pytorch_lora_weights.safetensors": bytes(1_500_000)})
    _, adapters = run(f"--model-dir={folder}").split("\n\n")
    listed = {row["adapter"]: row for row in rows(adapters, ADAPTER_NAMES)}
    assert listed["latent-consistency/lcm-lora-sdv1-5"] == {
        "adapter": "latent-consistency/lcm-lora-sdv1-5",
        "role": "lcm-lora",
        "for": "SD15",
        "state": "downloaded",
        "size": "1.5 MB",
        "licence": "CreativeML Open RAIL++-M",
        "commercial use": "yes",
    }
    assert listed["latent-consistency/lcm-lora-sdxl"]["state"] == "missing"
    assert (listed["Intel/dpt-hybrid-midas"]["role"], listed["Intel/dpt-hybrid-midas"]["for"]) == (
        "depth-estimator",
        "SD15, SDXL",
    )


def test_what_lies_in_iopaints_folders_is_listed_and_what_cannot_be_served_is_told(folder):
    write_safetensors(folder / "stable_diffusion/mine.safetensors", sd15_shapes(channels=4))
    (folder / "stable_diffusion/broken.ckpt").write_bytes(b"nothing")
    result = CliRunner().invoke(app, ["list", f"--model-dir={folder}"])
    listed = {row["name"]: row for row in rows(result.stdout.split("\n\n")[0])}
    assert (listed["mine.safetensors"]["family"], listed["mine.safetensors"]["state"]) == (
        "SD15",
        "downloaded",
    )
    assert "broken.ckpt" not in result.stdout
    assert "stable_diffusion/broken.ckpt: not served" in result.stderr


def test_json_has_the_same_and_more(folder):
    listed = {model["name"]: model for model in json.loads(run("--json", f"--model-dir={folder}"))}
    assert listed["lama"] == {
        "name": "lama",
        "aliases": [],
        "family": "Erase",
        "kind": "erase",
        "state": "downloaded",
        "size_on_disk": 2_500_000,
        "licence": "Apache-2.0",
        "commercial_use": True,
    }
    assert listed["manga"]["size_on_disk"] is None
    assert listed["anime-lama"]["commercial_use"] is None
    everything = (*known_models().models, *known_models().adapters)
    assert set(listed) == {spec.name for spec in everything}
    assert listed["madebyollin/sdxl-vae-fp16-fix"]["role"] == "vae"


def test_without_a_folder_iopaints_is_looked_into(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    listed = {model["name"]: model["state"] for model in json.loads(run("--json"))}
    assert listed["lama"] == "downloaded"
