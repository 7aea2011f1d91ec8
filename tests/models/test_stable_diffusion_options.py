"""What a family's options do to Stable Diffusion: memory, offloading, the safety checker."""

import logging

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from inpaint.errors import ContentRefusedError, WeightsCorruptError
from tests.models.painting import QUICK, difference, load, paint, picture
from tests.standins.diffusion import copy_folder, flag_everything, write_lcm_lora

FAMILIES = ["sd15", "sdxl"]


def hooked(model):
    return [
        name
        for name, part in model._shared.checkpoint.parts.items()
        if isinstance(part, torch.nn.Module) and hasattr(part, "_hf_hook")
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_low_mem_encodes_and_decodes_in_tiles(diffusion_folder, family, monkeypatch):
    used = []
    for name in ("_tiled_encode", "tiled_decode"):
        original = getattr(AutoencoderKL, name)
        monkeypatch.setattr(
            AutoencoderKL,
            name,
            lambda self, *args, name=name, original=original, **kw: (
                used.append(name) or original(self, *args, **kw)
            ),
        )
    usual = load(diffusion_folder(family, 9))
    paint(usual)
    assert not used
    assert not usual._shared.vae.use_slicing
    lean = load(diffusion_folder(family, 9), low_mem=True)
    painted = paint(lean)  # 96 pixels wide, and its tiles are 64
    assert set(used) == {"_tiled_encode", "tiled_decode"}
    assert lean._shared.vae.use_slicing
    assert painted.shape == picture()[0].shape


@pytest.mark.parametrize("family", FAMILIES)
def test_offloading_keeps_parts_on_the_device_while_they_run(diffusion_folder, family, offloading):
    usual = paint(load(diffusion_folder(family, 9)))
    model = load(diffusion_folder(family, 9), cpu_offload=True, device="cuda:1")
    assert {part.device.type for part in (model._shared.unet, model._shared.vae)} == {"cpu"}
    hooks = []
    painted = model.paint(
        *picture(), QUICK, {}, lambda step: hooks.append(hooked(model)) if step.number == 1 else 0
    )
    np.testing.assert_array_equal(painted, usual)
    assert hooks == [["unet", "vae"]]
    # The last call is diffusers' own, at a run's end, for the device that it found.
    assert {device for _, device in offloading} - {"cpu:0"} == {"cuda:1"}
    assert any(pipeline.unet is model._shared.unet for pipeline, _ in offloading)
    texts = [part for part in model._shared.checkpoint.parts if part.startswith("text_encoder")]
    assert all(
        any(getattr(pipeline, text) is not None for pipeline, _ in offloading) for text in texts
    )
    assert hooked(model) == []


def test_offloading_ends_with_the_run_whatever_ends_it(diffusion_folder, offloading):
    model = load(diffusion_folder("sd15", 9), cpu_offload=True, device="cuda")
    usual = paint(model)

    def stop(step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.paint(*picture(), QUICK, {}, stop)
    assert hooked(model) == []
    np.testing.assert_array_equal(paint(model), usual)


def test_offloading_and_lora_go_together(diffusion_folder, offloading, tmp_path):
    plain = load(diffusion_folder("sd15", 9))
    adapters = {"lcm-lora": write_lcm_lora(tmp_path, plain._shared.unet)}
    model = load(diffusion_folder("sd15", 9), cpu_offload=True, device="cuda")
    for with_lora in (True, False, True):
        expected = paint(plain, adapters, sd_lcm_lora=with_lora)
        np.testing.assert_array_equal(paint(model, adapters, sd_lcm_lora=with_lora), expected)


def test_offloading_does_nothing_on_a_cpu_and_says_so(diffusion_folder, offloading, caplog):
    with caplog.at_level(logging.INFO, "ray.serve"):
        model = load(diffusion_folder("sd15", 9), cpu_offload=True)
    paint(model)
    assert not offloading
    assert "cpu_offload does nothing device=cpu" in caplog.text


@pytest.mark.parametrize("family", FAMILIES)
def test_text_encoders_stay_on_the_cpu_in_float32(diffusion_folder, family):
    """ "meta" stands for a GPU: a device that is not the CPU, with shapes and no values."""
    model = load(diffusion_folder(family, 9), cpu_textencoder=True, precision="fp16", device="meta")
    for name, part in model._shared.checkpoint.parts.items():
        if isinstance(part, torch.nn.Module):
            is_text = name.startswith("text_encoder")
            assert part.device.type == ("cpu" if is_text else "meta")
            assert part.dtype == (torch.float32 if is_text else torch.float16)
    prompt = model._shared.prompts["a cat"]
    assert prompt.tokens.device.type == "cpu"
    assert prompt.tokens.dtype == torch.float16
    assert prompt.tokens.isfinite().all()


@pytest.mark.parametrize("family", FAMILIES)
def test_text_encoders_apart_paint_nearly_the_same(diffusion_folder, family):
    folder = diffusion_folder(family, 9)
    together, apart = (
        paint(load(folder, precision="bf16", cpu_textencoder=apart)) for apart in (False, True)
    )
    assert 0 < difference(together, apart) < 15


def test_offloading_leaves_text_encoders_that_stay_on_the_cpu(diffusion_folder, offloading):
    model = load(diffusion_folder("sd15", 9), cpu_offload=True, cpu_textencoder=True, device="cuda")
    np.testing.assert_array_equal(paint(model), paint(load(diffusion_folder("sd15", 9))))
    assert all(pipeline.text_encoder is None for pipeline, _ in offloading)


def test_sdxls_vae_is_in_half_precision_again_after_an_error(diffusion_folder, monkeypatch):
    """It decodes in float32, for it overflows in half."""
    model = load(diffusion_folder("sdxl", 9), precision="fp16")
    usual = paint(model)
    original = AutoencoderKL.decode
    seen = []

    def fail(self, *args, **kwargs):
        seen.append(self.dtype)
        raise torch.OutOfMemoryError

    monkeypatch.setattr(AutoencoderKL, "decode", fail)
    with pytest.raises(torch.OutOfMemoryError):
        paint(model)
    monkeypatch.setattr(AutoencoderKL, "decode", original)
    assert seen == [torch.float32]
    assert model._shared.vae.dtype == torch.float16
    np.testing.assert_array_equal(paint(model), usual)


def test_safety_checker_of_the_checkpoint_lets_good_pictures_pass(diffusion_folder):
    checked = load(diffusion_folder("sd15", 9, checker=True))
    assert checked._shared.checkpoint.parts["safety_checker"] is not None
    expected = paint(load(diffusion_folder("sd15", 9, checker=True), safety_checker="off"))
    np.testing.assert_array_equal(paint(checked), expected)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_flagged_picture_is_refused_and_not_black(diffusion_folder, tmp_path, precision):
    folder = copy_folder(diffusion_folder("sd15", 9, checker=True), tmp_path / "strict")
    flag_everything(folder)
    model = load(folder, precision=precision)
    for _ in range(2):
        with pytest.raises(ContentRefusedError) as caught:
            paint(model)
    assert caught.value.status == 422
    assert caught.value.code == "content-refused"


def test_safety_checker_that_is_off_is_not_even_read(diffusion_folder, tmp_path):
    folder = copy_folder(diffusion_folder("sd15", 9, checker=True), tmp_path / "spoilt")
    (folder / "safety_checker" / "model.safetensors").write_bytes(b"")
    model = load(folder, safety_checker="off")
    assert model._shared.checkpoint.parts["safety_checker"] is None
    paint(model)
    with pytest.raises(WeightsCorruptError, match=r"safety_checker/model\.safetensors"):
        load(folder)


def test_options_of_a_family_do_not_reach_other_replicas_models(diffusion_folder):
    """Nothing of them is kept in classes or modules."""
    before = paint(load(diffusion_folder("sd15", 9)))
    paint(load(diffusion_folder("sd15", 9), low_mem=True, precision="bf16"))
    np.testing.assert_array_equal(paint(load(diffusion_folder("sd15", 9))), before)
