"""Paint by Example: reading it as it is published, and painting with it."""

import json
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.pipelines.deprecated.paint_by_example import PaintByExamplePipeline
from PIL import Image as Pictures
from safetensors.torch import load_file, save_file

from deployments.models.paint_by_example import PaintByExample
from deployments.models.samplers import make_scheduler
from inpaint.diffusion import DiffusionModel
from inpaint.errors import ContentRefusedError, ParamsError, WeightsCorruptError
from inpaint.params import DiffusionParams, Sampler
from inpaint.protocols import LoadOptions
from tests.models.painting import QUICK, SPEC, difference, picture, stopped_at_step_2
from tests.standins.damage import DAMAGES
from tests.standins.diffusion import (
    copy_folder,
    edit_json,
    flag_everything,
    pickle_weights,
    write_hub_folder,
)
from tests.standins.paint_by_example import INDEX, LOOK_PX, write_paint_by_example

ENCODER = "image_encoder/model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As huggingface_hub keeps it."""
    hub = tmp_path_factory.mktemp("hub")
    return write_hub_folder(hub, "Fantasy-Studio/Paint-by-Example", write_paint_by_example)


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """With a safety checker."""
    return write_paint_by_example(tmp_path_factory.mktemp("checked"), checker=True)


@pytest.fixture
def spoilt(folder, tmp_path):
    return copy_folder(folder, tmp_path / "copy")


@pytest.fixture(scope="module")
def model(folder):
    return load(folder)


def load(folder, **options):
    return PaintByExample.load(SPEC, [folder], LoadOptions(**options))


def example(seed=0, height=40, width=60):
    """Coarse colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    image = np.asarray(Pictures.fromarray(coarse).resize((width, height)))
    image.flags.writeable = False
    return image


def paint(model, steps=None, shown=None, previews=False, **params):
    """QUICK with changes, on `picture()`."""
    keep = [] if steps is None else steps
    wanted = DiffusionParams(**QUICK.model_dump() | params)
    shown = example() if shown is None else shown
    return model.paint(*picture(), wanted, {}, keep.append, previews, shown)


def assert_same(painted, expected):
    """But for a level: from where the weights lie in memory, the last bits of sums follow."""
    np.testing.assert_allclose(painted.astype(int), expected, atol=1)


def test_runner_is_a_diffusion_model(model):
    runner: DiffusionModel = model
    painted = paint(runner)
    assert painted.shape == picture()[0].shape
    assert painted.dtype == np.uint8


def test_it_paints_what_diffusers_own_pipeline_paints(model, folder):
    parts = {
        name: part
        for name, part in model._parts.items()
        if name not in ("feature_extractor", "scheduler")
    }
    # What the example becomes: its shorter side at the encoder's, its middle, CLIP's colours.
    shown = Pictures.fromarray(example()).resize((48, LOOK_PX), Pictures.Resampling.BICUBIC)
    square = np.asarray(shown)[:, 8 : 8 + LOOK_PX] / 255
    mean, spread = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    pixels = torch.from_numpy((square - mean) / spread).float().permute(2, 0, 1)[None]
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    pipeline = PaintByExamplePipeline(
        **parts, feature_extractor=None, scheduler=make_scheduler("DDIM", config)
    )
    pipeline.set_progress_bar_config(disable=True)
    image, mask = picture()
    expected = pipeline(
        example_image=pixels,
        image=Pictures.fromarray(image),
        mask_image=Pictures.fromarray(mask),
        num_inference_steps=4,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(5),
        output_type="np",
    ).images[0]
    painted = paint(model, sd_steps=4, sd_guidance_scale=3.0, seed=5, sd_sampler="DDIM")
    np.testing.assert_allclose(painted, expected * 255, atol=1)


def test_example_decides_what_is_painted(model):
    first, second = (paint(model, shown=example(seed)) for seed in (0, 1))
    assert difference(first, second) > 1
    np.testing.assert_array_equal(paint(model, shown=example(0)), first)


@pytest.mark.parametrize("size", [(8, 8), (200, 30), (33, 500)])
def test_example_may_have_any_size(model, size):
    assert paint(model, shown=example(0, *size)).shape == picture()[0].shape


def test_without_an_example_it_is_refused(model):
    with pytest.raises(ParamsError, match="paint_by_example_example_image"):
        model.paint(*picture(), QUICK, {}, lambda _: None)


@pytest.mark.parametrize("sampler", get_args(Sampler))
def test_every_sampler_takes_each_step_once(model, sampler):
    steps = []
    paint(model, steps, sd_sampler=sampler, sd_steps=4)
    assert [step.number for step in steps] == [1, 2, 3, 4]
    assert {step.total for step in steps} == {4}


def test_samplers_paint_otherwise(model):
    """IOPaint takes the checkpoint's own, PNDM, whatever is asked for."""
    painted = [paint(model, sd_sampler=name) for name in ("PNDM", "DDIM", "Euler a", "UniPC")]
    assert all(difference(one, other) > 0.2 for one, other in pairwise(painted))


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [("seed", 1, 2), ("sd_guidance_scale", 1.0, 7.5), ("sd_steps", 2, 5)],
)
def test_parameters_that_it_reads_change_the_result(model, name, one, other):
    first, second = (paint(model, **{name: value}) for value in (one, other))
    assert difference(first, second) > 0.5


@pytest.mark.parametrize(
    "params", [{"prompt": "a dog"}, {"negative_prompt": "red"}, {"sd_strength": 0.3}], ids=str
)
def test_parameters_that_it_does_not_read_change_nothing(model, params):
    np.testing.assert_array_equal(paint(model, **params), paint(model))


def test_more_steps_than_the_sampler_takes_are_refused(model):
    with pytest.raises(ParamsError, match="LCM sampler takes at most 50"):
        paint(model, sd_sampler="LCM", sd_steps=51)


def test_what_is_under_the_mask_does_not_count(model):
    image, mask = picture()
    other = image.copy()
    other[mask > 0] = 255 - other[mask > 0]
    first, second = (
        model.paint(given, mask, QUICK, {}, lambda _: None, False, example())
        for given in (image, other)
    )
    np.testing.assert_array_equal(first, second)


def test_inputs_and_torchs_own_generator_are_left_alone(model):
    before = torch.get_rng_state()
    image, mask = (array.copy() for array in picture())
    shown = example().copy()
    model.paint(image, mask, QUICK, {}, lambda _: None, False, shown)
    for array, original in zip((image, mask, shown), (*picture(), example()), strict=True):
        np.testing.assert_array_equal(array, original)
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_is_said_about_a_deprecated_pipeline(folder, capfd):
    paint(load(folder))
    assert capfd.readouterr() == ("", "")


def test_requests_do_not_influence_each_other(model, folder):
    requests = [{}, {"sd_sampler": "Heun"}, {"sd_sampler": "LCM", "sd_guidance_scale": 1.0}]
    alone = [paint(load(folder), **params) for params in requests]
    for number in (2, 0, 1, 0, 2):
        np.testing.assert_array_equal(paint(model, **requests[number]), alone[number])


def test_steps_bring_previews_where_they_are_asked_for(model):
    with_previews, without = [], []
    first = paint(model, with_previews, previews=True)
    np.testing.assert_array_equal(paint(model, without), first)
    assert [step.preview.shape for step in with_previews] == [(8, 12, 3)] * 3
    assert [step.preview for step in without] == [None] * 3


def test_an_error_from_a_step_ends_the_run(model):
    usual = paint(model)
    with stopped_at_step_2() as on_step:
        model.paint(*picture(), QUICK, {}, on_step, False, example())
    np.testing.assert_array_equal(paint(model), usual)


# Options of the family


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_paints_about_the_same(checked, precision):
    exact, half = load(checked), load(checked, precision=precision)
    networks = [part for part in half._parts.values() if isinstance(part, torch.nn.Module)]
    assert len(networks) == 4
    assert {network.dtype for network in networks} == {
        {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    }
    assert difference(paint(exact), paint(half)) < 12


def test_low_mem_encodes_and_decodes_in_tiles(folder, monkeypatch):
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
    paint(load(folder))
    assert not used
    paint(load(folder, low_mem=True))
    assert set(used) == {"_tiled_encode", "tiled_decode"}


def test_offloading_paints_the_same_and_ends_with_the_run(checked, offloading):
    usual = paint(load(checked))
    model = load(checked, cpu_offload=True, device="cuda:1")
    networks = [part for part in model._parts.values() if isinstance(part, torch.nn.Module)]
    assert {network.device.type for network in networks} == {"cpu"}
    assert_same(paint(model), usual)
    assert "cuda:1" in {device for _, device in offloading}
    assert not any(hasattr(network, "_hf_hook") for network in networks)
    with pytest.raises(ZeroDivisionError):
        model.paint(*picture(), QUICK, {}, lambda _: 1 // 0, False, example())
    assert not any(hasattr(network, "_hf_hook") for network in networks)
    assert_same(paint(model), usual)


def test_safety_checker_is_read_and_kept_to_where_it_is_on(checked, tmp_path):
    assert load(checked, safety_checker="off")._parts["safety_checker"] is None
    np.testing.assert_array_equal(paint(load(checked)), paint(load(checked, safety_checker="off")))
    strict = copy_folder(checked, tmp_path / "strict")
    flag_everything(strict)
    with pytest.raises(ContentRefusedError):
        paint(load(strict))
    paint(load(strict, safety_checker="off"))


# Files


def test_every_tensor_is_read(model, folder):
    for part, name in (("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model")):
        expected = load_file(folder / part / f"{name}.safetensors")
        state = model._parts[part].state_dict()
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[key], expected[key]) for key in expected)
    published = load_file(folder / ENCODER)
    state = model._parts["image_encoder"].state_dict()
    assert len(state) == len(published) - 1  # position_ids are counted, not stored, by now
    for key, tensor in state.items():
        inner = key.removeprefix("model.")
        name = f"model.vision_model.{inner}" if inner != key else key
        assert torch.equal(tensor, published[name])


def test_index_is_the_published_one(folder):
    index = json.loads((folder / "model_index.json").read_text())
    assert index["image_encoder"] == ["paint_by_example", "PaintByExampleImageEncoder"]
    assert index["_class_name"] == "PaintByExamplePipeline"


def test_pickled_weights_are_read(spoilt, model):
    pickle_weights(spoilt)
    assert not list(spoilt.rglob("*.safetensors"))
    assert_same(paint(load(spoilt)), paint(model))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "name",
    [
        "model_index.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        ENCODER,
        "image_encoder/config.json",
    ],
)
def test_damaged_file_is_refused_by_its_name(spoilt, name, damage):
    path = spoilt / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(WeightsCorruptError, match=f"^{name}"):
        load(spoilt)


@pytest.mark.parametrize("part", ["unet", "vae", "image_encoder", "scheduler", "feature_extractor"])
def test_missing_part_is_refused_by_its_name(spoilt, part):
    (spoilt / part).rename(spoilt / "elsewhere")
    with pytest.raises(WeightsCorruptError, match=f"^{part}"):
        load(spoilt)


def test_encoder_that_lacks_tensors_is_refused(spoilt):
    state = load_file(spoilt / ENCODER)
    del state["uncond_vector"]
    save_file(state, spoilt / ENCODER, metadata={"format": "pt"})
    with pytest.raises(WeightsCorruptError, match=f"^{ENCODER} .*1 tensors are missing"):
        load(spoilt)


@pytest.mark.parametrize(
    ("part", "name"), [("image_encoder", "CLIPVisionModel"), ("unet", "UNet2DModel")]
)
def test_index_of_another_pipeline_is_refused(spoilt, part, name):
    edit_json(spoilt / "model_index.json", **{part: [INDEX[part][0], name]})
    with pytest.raises(WeightsCorruptError, match=f"its {part} is {name}, and must be"):
        load(spoilt)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"in_channels": 4}, "has 4 input channels"), ({"cross_attention_dim": 128}, "reads 128")],
)
def test_unet_of_another_checkpoint_is_refused(spoilt, changes, reason):
    config = json.loads((spoilt / "unet" / "config.json").read_text())
    UNet2DConditionModel.from_config(config | changes).save_pretrained(spoilt / "unet")
    with pytest.raises(WeightsCorruptError, match=rf"^unet/config\.json .*{reason}"):
        load(spoilt)
