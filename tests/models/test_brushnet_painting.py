"""Requests with a BrushNet: what decides the pixels, what is refused, what stays behind."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from deployments.models.brushnet_calls import known_latents, known_pixels
from deployments.models.brushnet_files import read_brushnet
from deployments.models.brushnet_unet import BrushNetUNet
from deployments.models.stable_diffusion_variants import call_of
from inpaint.errors import (
    ContentRefusedError,
    ParamsError,
    WeightsCorruptError,
    WeightsMissingError,
)
from tests.models.painting import (
    QUICK,
    difference,
    load,
    order,
    paint,
    picture,
    pointers,
    stopped_at_step_2,
)
from tests.standins.brushnet import CONFIG, WEIGHTS, write_brushnet
from tests.standins.diffusion import copy_folder, flag_everything

FAMILIES = ["sd15", "sdxl"]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def model(family, diffusion_folder):
    return load(diffusion_folder(family, 4))


@pytest.fixture(scope="module")
def brushnet(family, tmp_path_factory):
    return write_brushnet(tmp_path_factory.mktemp("brushnet") / family, family)


def brush(model, path, steps=None, **params):
    """`paint` with the BrushNet of `path`."""
    return paint(model, {"brushnet": path}, steps, enable_brushnet=True, **params)


def by_hand(model, path, params):
    """The picture from the parts alone: DDIM, guidance and noise written out."""
    parts, image_and_mask = model._shared.checkpoint.parts, picture()
    unet, vae = parts["unet"], parts["vae"]
    image, mask = (torch.from_numpy(array.copy()) for array in image_and_mask)
    draw = torch.Generator().manual_seed(params.seed)
    latents = torch.randn(1, 4, 8, 12, generator=draw)
    black = torch.where(mask[..., None] > 0, 0, image).permute(2, 0, 1)[None] / 127.5 - 1
    code = vae.encode(black.repeat(2, 1, 1, 1)).latent_dist
    noise = torch.randn(2, 4, 8, 12, generator=draw)
    known = (code.mean + code.std * noise) * vae.config.scaling_factor
    there = (mask[::8, ::8] == 0).float().expand(2, 1, 8, 12)
    arguments = model._shared.prompt_arguments(params)
    prompt = torch.cat([arguments["negative_prompt_embeds"], arguments["prompt_embeds"]])
    added = None
    if model._shared.checkpoint.is_xl:
        pooled = [arguments[f"{sign}pooled_prompt_embeds"] for sign in ("negative_", "")]
        sizes = torch.tensor([[64, 96, 0, 0, 64, 96]] * 2)
        added = {"text_embeds": torch.cat(pooled), "time_ids": sizes}
    guided = BrushNetUNet(unet, read_brushnet(path, torch.float32), 0.8)
    guided.conditioning = torch.cat([known, there], 1)
    scheduler = DDIMScheduler.from_config(parts["scheduler"].config)
    scheduler.set_timesteps(params.sd_steps)
    for moment in scheduler.timesteps:
        both = guided(latents.repeat(2, 1, 1, 1), moment, prompt, added).sample
        without, with_prompt = both.chunk(2)
        guess = without + params.sd_guidance_scale * (with_prompt - without)
        latents = scheduler.step(guess, moment, latents).prev_sample
    decoded = vae.decode(latents / vae.config.scaling_factor).sample[0]
    levels = ((decoded / 2 + 0.5).clamp(0, 1) * 255).round()
    return levels.permute(1, 2, 0).numpy().astype(np.uint8)


@torch.no_grad()
def test_a_run_is_what_its_parts_give(model, brushnet):
    params = QUICK.model_copy(update={"sd_sampler": "DDIM", "brushnet_conditioning_scale": 0.8})
    painted = brush(model, brushnet, sd_sampler="DDIM", brushnet_conditioning_scale=0.8)
    expected = by_hand(model, brushnet, params)
    assert np.abs(painted.astype(int) - expected).max() <= 1
    assert difference(painted, expected) < 0.01


def test_picture_is_painted_in_full(model, brushnet):
    image, _ = picture()
    painted = brush(model, brushnet)
    assert painted.shape == image.shape
    assert painted.dtype == np.uint8
    assert 10 < painted.std() < 100
    assert difference(painted, paint(model)) > 1


@pytest.mark.parametrize("size", [(64, 64), (128, 72), (8, 64)])
def test_any_multiple_of_8_is_painted(model, brushnet, size):
    params = QUICK.model_copy(update={"enable_brushnet": True})
    painted = model.paint(*picture(*size), params, {"brushnet": brushnet}, lambda _: None)
    assert painted.shape == (*size, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a dog"},
        {"negative_prompt": "cat"},
        {"sd_steps": 5},
        {"sd_guidance_scale": 3.0},
        {"sd_guidance_scale": 1.0},
        {"sd_sampler": "Euler a"},
        {"seed": 8},
        {"brushnet_conditioning_scale": 0.5},
        {"brushnet_conditioning_scale": 0.0},
    ],
    ids=str,
)
def test_every_parameter_changes_the_picture(model, brushnet, change):
    assert difference(brush(model, brushnet), brush(model, brushnet, **change)) > 1


def test_known_part_and_mask_change_the_picture(model, brushnet):
    image, mask = picture()
    params = QUICK.model_copy(update={"enable_brushnet": True})

    def run(*given):
        return model.paint(*given, params, {"brushnet": brushnet}, lambda _: None)

    usual = run(image, mask)
    assert difference(usual, run(255 - image, mask)) > 1
    assert difference(usual, run(image, 255 - mask)) > 1
    hidden = np.where(mask[..., None] > 0, 255 - image, image)
    np.testing.assert_array_equal(usual, run(hidden, mask))


def test_weight_0_leaves_the_checkpoints_own_picture(model, brushnet, family, tmp_path):
    """Neither the picture nor the BrushNet counts any more."""
    usual = brush(model, brushnet, brushnet_conditioning_scale=0)
    other = write_brushnet(tmp_path / "other", family, seed=9)
    np.testing.assert_array_equal(usual, brush(model, other, brushnet_conditioning_scale=0))
    untrained = write_brushnet(tmp_path / "untrained", family, zeroed=True)
    np.testing.assert_array_equal(usual, brush(model, untrained))


def test_strength_does_not_apply(model, brushnet):
    seen = []
    painted = brush(model, brushnet, seen, sd_strength=0.4, sd_steps=5)
    np.testing.assert_array_equal(painted, brush(model, brushnet, sd_steps=5))
    assert [(step.number, step.total) for step in seen] == [(n, 5) for n in range(1, 6)]


def test_equal_seeds_mean_equal_pictures_and_torchs_own_generator_is_left_alone(model, brushnet):
    before = torch.get_rng_state()
    first, second = (brush(model, brushnet, sd_sampler="Euler a") for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_several_stay_loaded_and_requests_choose(model, brushnet, family, tmp_path):
    other = write_brushnet(tmp_path / "other", family, seed=9)
    plain, first, second = paint(model), brush(model, brushnet), brush(model, other)
    assert difference(first, second) > 1
    (other / WEIGHTS).unlink()  # it is not read again
    for _ in range(2):
        np.testing.assert_array_equal(brush(model, brushnet), first)
        np.testing.assert_array_equal(paint(model), plain)
        np.testing.assert_array_equal(brush(model, other), second)


def test_checkpoint_and_networks_have_one_set_of_weights(model, brushnet):
    wanted = order({"brushnet": brushnet}, enable_brushnet=True)
    first, second = (call_of(model._shared, wanted).pipeline for _ in range(2))
    shared = pointers(model._shared.unet)
    for pipeline in (first, second):
        assert pointers(pipeline.unet.view) == shared
        assert pipeline.vae is model._shared.vae
    assert first.unet.network is second.unet.network
    assert first.unet is not second.unet
    assert first.scheduler is not second.scheduler


def test_a_checkpoint_that_sees_masks_is_refused(diffusion_folder, family, brushnet):
    with pytest.raises(ParamsError, match=r"enable_brushnet .* 4 channels.* this one has 9"):
        brush(load(diffusion_folder(family, 9)), brushnet)


def test_a_missing_brushnet_is_an_error_of_ours(model):
    with pytest.raises(WeightsMissingError, match="enable_brushnet"):
        paint(model, enable_brushnet=True)


def test_a_brushnet_of_another_base_is_refused_and_the_model_goes_on(model, family, tmp_path):
    usual = paint(model)
    other = write_brushnet(tmp_path / "other", "sdxl" if family == "sd15" else "sd15")
    with pytest.raises(WeightsCorruptError, match=r"^other .* another base: its widths"):
        brush(model, other)
    (other / CONFIG).unlink()
    with pytest.raises(WeightsCorruptError, match=CONFIG):
        brush(model, other)
    np.testing.assert_array_equal(paint(model), usual)


def test_an_error_in_on_step_ends_the_run_at_once(model, brushnet):
    usual, plain = brush(model, brushnet), paint(model)
    params = QUICK.model_copy(update={"enable_brushnet": True, "sd_steps": 6})
    with stopped_at_step_2() as on_step:
        model.paint(*picture(), params, {"brushnet": brushnet}, on_step)
    np.testing.assert_array_equal(brush(model, brushnet), usual)
    np.testing.assert_array_equal(paint(model), plain)


def test_previews_come_when_asked_for(model, brushnet):
    params = QUICK.model_copy(update={"enable_brushnet": True})
    steps = []
    model.paint(*picture(), params, {"brushnet": brushnet}, steps.append, previews=True)
    assert [step.preview.shape for step in steps] == [(8, 12, 3)] * 3


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_network_has_the_checkpoints_precision(diffusion_folder, family, brushnet, precision):
    model = load(diffusion_folder(family, 4), precision=precision)
    wanted = order({"brushnet": brushnet}, enable_brushnet=True)
    unet = call_of(model._shared, wanted).pipeline.unet
    assert {tensor.dtype for tensor in unet.parameters()} == {model._shared.dtype}
    painted = brush(model, brushnet)
    assert {tensor.dtype for tensor in model._shared.vae.parameters()} == {model._shared.dtype}
    assert difference(painted, brush(load(diffusion_folder(family, 4)), brushnet)) < 12


def test_low_mem_encodes_the_known_picture_in_tiles(diffusion_folder, family, brushnet):
    lean = load(diffusion_folder(family, 4), low_mem=True)
    tiles = []
    encoder = lean._shared.vae.encoder
    encoder.register_forward_hook(lambda _, given, __: tiles.append(given[0].shape[-2:]))
    brush(lean, brushnet)  # 96 pixels wide, and its tiles are 64
    assert len(tiles) > 1


def test_offloading_moves_both_networks_and_leaves_nothing(
    diffusion_folder, family, brushnet, offloading
):
    usual = brush(load(diffusion_folder(family, 4)), brushnet)
    model = load(diffusion_folder(family, 4), cpu_offload=True, device="cuda")
    hooked = []

    def watch(_):
        [unet] = [shell.unet for shell, _ in offloading if isinstance(shell.unet, BrushNetUNet)]
        hooked.append(hasattr(unet, "_hf_hook"))

    params = QUICK.model_copy(update={"enable_brushnet": True})
    painted = model.paint(*picture(), params, {"brushnet": brushnet}, watch)
    np.testing.assert_array_equal(painted, usual)
    assert hooked == [True] * 3
    parts = [*model._shared.checkpoint.parts.values(), offloading[-1][0].unet]
    assert not any(hasattr(part, "_hf_hook") for part in parts)


@pytest.mark.parametrize("family", ["sd15"], indirect=True)
def test_safety_checker_sees_the_result(diffusion_folder, brushnet, tmp_path):
    folder = copy_folder(diffusion_folder("sd15", 4, checker=True), tmp_path / "checked")
    assert brush(load(folder), brushnet).std() > 10
    flag_everything(folder)
    with pytest.raises(ContentRefusedError):
        brush(load(folder), brushnet)


def test_pixels_under_the_mask_are_black_and_others_as_they_were():
    image, mask = picture()
    pixels = known_pixels(image, mask)
    assert pixels.shape == (1, 3, 64, 96)
    assert pixels.dtype == torch.float32
    inside = torch.from_numpy(mask > 0)
    assert (pixels[..., inside] == -1).all()
    levels = ((pixels + 1) * 127.5).round()[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(levels[~inside], image[~inside])


def test_a_latent_is_known_where_its_upper_left_pixel_is():
    mask = np.full((16, 24), 255, np.uint8)
    mask[0, 8] = mask[8, 0] = 0
    mask[1:8, 17:24] = 0  # no upper left pixel of a latent
    known = known_latents(mask, torch.zeros(2, 4, 2, 3, dtype=torch.float16))
    expected = [[0, 1, 0], [1, 0, 0]]
    assert known.dtype == torch.float16
    assert known.tolist() == [[expected]] * 2
