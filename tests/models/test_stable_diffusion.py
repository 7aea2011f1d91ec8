"""Painting with Stable Diffusion: what decides the pixels, and what a request leaves behind."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline

from deployments.models.stable_diffusion_variants import call_of
from inpaint.diffusion import DiffusionModel
from inpaint.errors import ModelError, ParamsError
from inpaint.params import DiffusionParams
from tests.models.painting import (
    QUICK,
    difference,
    fingerprint,
    load,
    modules_of,
    order,
    paint,
    picture,
    stopped_at_step_2,
)

CHECKPOINTS = [("sd15", 9), ("sd15", 4), ("sdxl", 9), ("sdxl", 4)]


@pytest.fixture(scope="module", params=CHECKPOINTS, ids=lambda given: f"{given[0]}-{given[1]}")
def model(request, diffusion_folder):
    return load(diffusion_folder(*request.param))


@pytest.fixture(scope="module")
def sd15(diffusion_folder):
    return load(diffusion_folder("sd15", 9))


@pytest.fixture(scope="module")
def sdxl(diffusion_folder):
    return load(diffusion_folder("sdxl", 9))


def parts_fingerprint(model):
    return fingerprint(modules_of(model._shared.checkpoint.parts.values()))


def test_runner_satisfies_the_protocol(model):
    runner: DiffusionModel = model
    image, mask = picture()
    painted = runner.paint(image, mask, QUICK, {}, lambda _: None)
    assert painted.shape == image.shape
    assert painted.dtype == np.uint8
    assert painted.flags.writeable
    assert 10 < painted.std() < 100


@pytest.mark.parametrize("size", [(64, 64), (128, 72), (8, 64)])
def test_any_multiple_of_8_is_painted(model, size):
    painted = model.paint(*picture(*size), QUICK, {}, lambda _: None)
    assert painted.shape == (*size, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a dog"},
        {"negative_prompt": "cat"},
        {"negative_prompt": ""},
        {"sd_steps": 5},
        {"sd_strength": 0.4},
        {"sd_guidance_scale": 3.0},
        {"sd_guidance_scale": 1.0},
        {"sd_sampler": "Euler a"},
        {"seed": 8},
    ],
    ids=str,
)
def test_every_parameter_changes_the_picture(model, change):
    assert difference(paint(model), paint(model, **change)) > 1


def test_mask_and_picture_change_the_picture(model):
    image, mask = picture()
    usual = model.paint(image, mask, QUICK, {}, lambda _: None)
    for changed in ((255 - image, mask), (image, 255 - mask)):
        assert difference(usual, model.paint(*changed, QUICK, {}, lambda _: None)) > 1


def test_negative_prompt_is_read_only_with_guidance_above_1(model):
    first, second = (
        paint(model, sd_guidance_scale=1.0, negative_prompt=text) for text in ("cat", "dog")
    )
    np.testing.assert_array_equal(first, second)


def test_unmasked_area_survives_a_plain_checkpoint(diffusion_folder):
    """A 4-channel UNet does not see the hole; the pipeline puts the known latents back."""
    plain = load(diffusion_folder("sd15", 4))
    image, mask = picture()
    nothing = plain.paint(image, np.zeros_like(mask), QUICK, {}, lambda _: None)
    other_prompt = QUICK.model_copy(update={"prompt": "a dog", "seed": 9})
    other = plain.paint(image, np.zeros_like(mask), other_prompt, {}, lambda _: None)
    assert difference(nothing, other) < difference(paint(plain), paint(plain, prompt="a dog")) / 5


def test_equal_seeds_mean_equal_pictures(model):
    np.testing.assert_array_equal(paint(model), paint(model))


def test_noise_is_what_torch_draws_after_the_seed(sd15, monkeypatch):
    """The first numbers of a run are its latents, as `torch.manual_seed` gives them."""
    seen = []
    original = StableDiffusionInpaintPipeline.prepare_latents

    def listening(*args, **kwargs):
        latents = original(*args, **kwargs)
        seen.append(latents[1] if len(latents) > 1 else latents[0])
        return latents

    monkeypatch.setattr(StableDiffusionInpaintPipeline, "prepare_latents", listening)
    paint(sd15, seed=11)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        expected = torch.randn(1, 4, 8, 12)
    assert torch.equal(seen[0], expected)


def test_torchs_own_generator_is_left_alone(model):
    before = torch.get_rng_state()
    for sampler in ("UniPC", "Euler a", "DPM++ 2M SDE", "LCM"):
        paint(model, sd_sampler=sampler)
    assert torch.equal(torch.get_rng_state(), before)


def test_inputs_stay_unchanged(model):
    image, mask = (array.copy() for array in picture())
    model.paint(image, mask, QUICK, {}, lambda _: None)
    for array, before in zip((image, mask), picture(), strict=True):
        np.testing.assert_array_equal(array, before)


def test_requests_do_not_influence_each_other(diffusion_folder):
    """Alone on a fresh model, or between others on one model: the same pixels."""
    folder = diffusion_folder("sd15", 4)
    requests = [
        {"sd_sampler": "UniPC"},
        {"sd_sampler": "DPM++ 2M SDE Karras", "sd_strength": 0.5, "sd_steps": 6},
        {"sd_sampler": "LMS Karras", "sd_guidance_scale": 1.0},
        {"sd_sampler": "LCM", "seed": 3},
        {"sd_sampler": "PNDM", "prompt": "dog"},
        {"sd_sampler": "Heun"},
    ]
    alone = [paint(load(folder), **request) for request in requests]
    shared = load(folder)
    before = parts_fingerprint(shared)
    for sequence in (range(6), (5, 0, 3, 1, 4, 2), (2, 2, 0, 5)):
        for number in sequence:
            np.testing.assert_array_equal(paint(shared, **requests[number]), alone[number])
    assert parts_fingerprint(shared) == before


def test_a_request_leaves_the_checkpoint_as_it_was(model):
    config = dict(model._shared.checkpoint.parts["scheduler"].config)
    before = parts_fingerprint(model)
    paint(model, sd_sampler="DPM++ 2M SDE Karras")
    assert parts_fingerprint(model) == before
    assert dict(model._shared.checkpoint.parts["scheduler"].config) == config


def test_every_request_has_its_own_scheduler_and_the_one_set_of_weights(model):
    first, second = (call_of(model._shared, order()).pipeline for _ in range(2))
    assert first.scheduler is not second.scheduler
    assert first.unet is second.unet is model._shared.checkpoint.parts["unet"]
    assert first.vae is second.vae is model._shared.checkpoint.parts["vae"]


def test_prompts_are_encoded_once(diffusion_folder, monkeypatch):
    model = load(diffusion_folder("sdxl", 9))
    texts = []
    encoder = model._shared.checkpoint.parts["text_encoder"]
    original = encoder.forward
    monkeypatch.setattr(
        encoder, "forward", lambda *args, **kw: texts.append(1) or original(*args, **kw)
    )
    first = paint(model)
    assert len(texts) == 2  # the prompt and the negative one
    np.testing.assert_array_equal(paint(model), first)
    assert len(texts) == 2
    np.testing.assert_array_equal(paint(load(diffusion_folder("sdxl", 9))), first)


@pytest.mark.parametrize(
    ("sampler", "steps", "strength", "expected"),
    [
        ("UniPC", 4, 1.0, 4),
        ("UniPC", 10, 0.35, 3),
        ("PNDM", 4, 1.0, 5),  # its first step is done twice
        ("Heun", 4, 1.0, 7),  # two evaluations a step, but for the last
        ("DPM2", 6, 0.5, 5),
    ],
)
def test_steps_are_counted_as_they_are_run(sd15, sampler, steps, strength, expected):
    seen = []
    paint(sd15, steps=seen, sd_sampler=sampler, sd_steps=steps, sd_strength=strength)
    assert [(step.number, step.total) for step in seen] == [
        (number, expected) for number in range(1, expected + 1)
    ]
    assert all(step.preview is None for step in seen)


def test_full_strength_is_just_below_1_for_sdxl(sdxl):
    seen = []
    full = paint(sdxl, steps=seen, sd_steps=4)
    assert seen[-1].total == 3  # of 4 times 0.999
    np.testing.assert_array_equal(full, paint(sdxl, sd_steps=4, sd_strength=0.999))


@pytest.mark.parametrize(("steps", "strength"), [(1, 0.9), (10, 0.05), (150, 0.006)])
def test_parameters_that_leave_no_step_are_refused(model, steps, strength):
    with pytest.raises(ParamsError, match=rf"sd_steps {steps} at sd_strength {strength}"):
        paint(model, sd_steps=steps, sd_strength=strength)


def test_lcm_takes_50_steps_and_no_more(sd15):
    with pytest.raises(ParamsError, match="at most 50"):
        paint(sd15, sd_sampler="LCM", sd_steps=51)
    seen = []
    paint(sd15, steps=seen, sd_sampler="LCM", sd_steps=50)
    assert len(seen) == 50


def test_an_error_in_on_step_ends_the_run_at_once(model):
    usual = paint(model, sd_steps=6)
    before = parts_fingerprint(model)
    with stopped_at_step_2() as on_step:
        model.paint(*picture(), QUICK.model_copy(update={"sd_steps": 6}), {}, on_step)
    assert parts_fingerprint(model) == before
    np.testing.assert_array_equal(paint(model, sd_steps=6), usual)


def test_previews_come_only_when_asked_for(model):
    image, mask = picture(64, 96)
    steps = []
    params = DiffusionParams(prompt="a cat", sd_steps=3, seed=1)
    watched = model.paint(image, mask, params, {}, steps.append, previews=True)
    for step in steps:
        assert step.preview.shape == (8, 12, 3)
        assert step.preview.dtype == np.uint8
        assert step.preview.std() > 5
    np.testing.assert_array_equal(watched, model.paint(image, mask, params, {}, lambda _: None))


def test_a_result_that_is_no_number_is_an_error_and_no_black_picture(diffusion_folder):
    model = load(diffusion_folder("sd15", 9))
    model._shared.vae.decoder.conv_out.bias.data.fill_(torch.nan)
    with pytest.raises(ModelError, match="precision"):
        paint(model)


def test_long_prompts_are_cut_off_at_77_tokens(sd15):
    long = "cat " * 100
    np.testing.assert_array_equal(paint(sd15, prompt=long), paint(sd15, prompt=long + "dog"))
