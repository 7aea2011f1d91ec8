"""What `start` says before it starts: flags that change nothing, weights that are missing."""

import pytest
from typer.testing import CliRunner

from inpaint.states import ModelState
from serve_app.cli import app
from serve_app.cli.start_notes import note_on_weights, notes
from serve_app.cli.start_options import StartOptions
from tests.fakes import fake_spec


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def remarks(*arguments):
    result = CliRunner().invoke(app, ["start", *arguments, "--dump-config"])
    assert result.exit_code == 0, result.output
    return result.stderr.splitlines()


def test_flags_that_change_nothing_say_so_and_nothing_is_refused():
    said = remarks("--model=cv2", "--no-half", "--low-mem", "--cpu-offload", "--cpu-textencoder",
                   "--disable-nsfw-checker", "--ocr-device=cpu")  # fmt: skip
    assert [line.split(":")[0] for line in said] == [
        "--no-half", "--low-mem", "--cpu-offload", "--cpu-textencoder", "--disable-nsfw-checker",
        "--ocr-device",
    ]  # fmt: skip
    assert said[0] == "--no-half: cv2 always runs in float32; nothing changes for it."


def test_flags_that_say_false_are_no_matter():
    assert remarks("--model=cv2", "--no-half=false", "--low-mem=false", "--cpu-offload=no") == []
    assert remarks("--model=cv2", "--enable-ocr", "--ocr-device=cpu") == []


def test_no_half_matters_to_a_model_with_half_precision():
    spec = fake_spec("toy", precisions=["fp32", "fp16"])
    assert list(notes(StartOptions(no_half=True), spec, has_ocr=False)) == []


def test_missing_weights_of_the_chosen_model_are_told():
    assert "fetches them" in "".join(remarks("--model=lama"))
    (told,) = remarks("--model=lama", "--local-files-only")
    assert "503" in told
    assert "python main.py download --model=lama" in told
    assert remarks("--model=cv2") == []
    assert remarks() == []


SD15 = "runwayml/stable-diffusion-inpainting"
CANNY = "lllyasviel/control_v11p_sd15_canny"


def test_a_controlnet_is_of_no_use_to_a_model_that_takes_none():
    said = remarks("--model=cv2", "--enable-controlnet", f"--controlnet-method={CANNY}")
    assert said[:2] == [
        "--enable-controlnet: cv2 takes no ControlNet; nothing changes for it.",
        "--controlnet-method: cv2 takes no ControlNet; nothing changes for it.",
    ]
    assert remarks("--model=cv2", "--enable-controlnet=false") == []


def test_missing_weights_of_the_controlnet_are_told_like_the_models(monkeypatch):
    monkeypatch.setattr("deployments.weights.store.is_extra_installed", lambda extra: True)
    flags = (f"--model={SD15}", "--enable-controlnet", f"--controlnet-method={CANNY}")
    assert [line.split(":")[0] for line in remarks(*flags)] == [SD15, CANNY]
    told = remarks(*flags, "--local-files-only")[1]
    assert f"python main.py download --model={CANNY}" in told


def test_models_that_are_here_are_not_told():
    for state in set(ModelState) - {ModelState.MISSING}:
        assert list(note_on_weights(fake_spec(), state, local_files_only=True)) == []
