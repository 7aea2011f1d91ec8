"""Writing with AnyText: what decides the pixels, what is refused, and what a request leaves."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import nn

from deployments.models.any_text import AnyText
from inpaint.diffusion import NO_ADAPTERS, DiffusionModel
from inpaint.errors import ModelError, ParamsError
from inpaint.params import DiffusionParams
from inpaint.protocols import LoadOptions
from tests.models.any_text_probes import PROMPT, SIZE, answers, cells, mask_of_three
from tests.models.painting import SPEC, difference, fingerprint, picture, stopped_at_step_2

CASES = answers()["cases"]
QUICK = DiffusionParams(prompt='a cat "Hello"', negative_prompt="dog", sd_steps=4, seed=7)


def load_any_text(folder, **options) -> AnyText:
    return AnyText.load(SPEC, [folder], LoadOptions(**options), NO_ADAPTERS)


@pytest.fixture(scope="module")
def model(any_text_folder):
    return load_any_text(any_text_folder)


def scene():
    """A picture with two places."""
    image, mask = picture(64, 128)
    mask = np.zeros_like(mask)
    mask[10:30, 10:110] = 255
    mask[40:58, 30:120] = 255
    mask.flags.writeable = False
    return image, mask


def write(model, *given, steps=None, previews=False, **params):
    """QUICK with changes, on `scene()`."""
    image, mask = given or scene()
    wanted = DiffusionParams(**QUICK.model_dump() | params)
    seen = [] if steps is None else steps
    return model.paint(image, mask, wanted, {}, seen.append, previews)


def networks(model):
    parts = {field.name: getattr(model._parts, field.name) for field in fields(model._parts)}
    return {name: part for name, part in parts.items() if isinstance(part, nn.Module)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['sd_steps']}-steps")
def test_picture_is_iopaints(model, case):
    """Of means over 8x8 px; single pixels differ by a level at most, where rounding decides."""
    params = DiffusionParams(
        prompt=PROMPT, **{name: value for name, value in case.items() if name != "cells"}
    )
    written = model.paint(picture(*SIZE)[0], mask_of_three(), params, {}, lambda _: None)
    np.testing.assert_allclose(cells(written), case["cells"], atol=0.5)


@pytest.mark.parametrize("size", [(64, 64), (128, 64)])
def test_runner_satisfies_the_protocol(model, size):
    runner: DiffusionModel = model
    image, mask = picture(*size)
    written = runner.paint(image, mask, QUICK, {}, lambda _: None)
    assert written.shape == image.shape
    assert written.dtype == np.uint8
    assert written.flags.writeable
    assert 10 < written.std() < 100


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": 'a dog "Hello"'},
        {"prompt": 'a cat "Hullo"'},
        {"prompt": 'a cat "Hello" and "dog"'},
        {"negative_prompt": "cat"},
        {"sd_steps": 6},
        {"sd_strength": 0.4},
        {"sd_guidance_scale": 3.0},
        {"sd_guidance_scale": 1.0},
        {"seed": 8},
    ],
    ids=str,
)
def test_every_parameter_changes_the_picture(model, change):
    assert difference(write(model), write(model, **change)) > 0.3


@pytest.mark.parametrize("change", [{"sd_sampler": "Euler a"}, {"sd_lcm_lora": False}], ids=str)
def test_what_it_does_not_read_changes_nothing(model, change):
    np.testing.assert_array_equal(write(model), write(model, **change))


def test_picture_and_mask_change_the_picture(model):
    image, mask = scene()
    usual = write(model)
    moved = np.roll(mask, 4, axis=1)
    for changed in ((255 - image, mask), (image, moved)):
        assert difference(usual, write(model, *changed)) > 0.3


def test_lines_stand_where_the_prompt_has_them(model):
    """Which line is written first, and what the words around it are, both count."""
    first, second = (
        write(model, prompt=prompt) for prompt in ('a "Hello" "dog"', 'a "dog" "Hello"')
    )
    assert difference(first, second) > 0.3


def test_a_part_without_a_line_is_painted_over(model):
    """What the picture shows there does not count."""
    image, mask = scene()
    second_part = np.zeros_like(mask)
    second_part[40:58, 30:120] = 255
    changed = np.where(second_part[..., None] > 0, 255 - image, image)
    np.testing.assert_array_equal(write(model), write(model, changed, mask))
    assert difference(write(model), write(model, changed, mask - second_part)) > 0.3


def test_without_control_the_picture_does_not_count(model):
    """The network itself is told of nothing but the prompt."""
    image, mask = scene()
    first, second = (write(model, each, mask, sd_strength=1e-9) for each in (image, 255 - image))
    assert difference(first, second) < 0.01


def test_negative_prompt_is_read_only_with_guidance_above_1(model):
    first, second = (
        write(model, sd_guidance_scale=1.0, negative_prompt=text) for text in ("cat", "dog")
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"prompt": "a cat"}, "quotes nothing to write"),
        ({"prompt": '"a" "b" "c"'}, "quotes 3 lines, and the mask has 2 separate parts"),
        ({"prompt": '"' + "x" * 21 + '"'}, "at most 20"),
        ({"prompt": '"字"'}, "line 1 has 字"),
        ({"prompt": "cat " * 90 + '"Hello"'}, "line 1 comes after the 77 tokens"),
        ({"negative_prompt": "5 * 3"}, "^negative_prompt"),
    ],
    ids=lambda given: None if isinstance(given, str) else str(given)[:40],
)
def test_what_cannot_be_written_is_refused_before_the_first_step(model, params, message):
    steps = []
    with pytest.raises(ParamsError, match=message):
        write(model, steps=steps, **params)
    assert not steps


def test_inputs_stay_unchanged(model):
    image, mask = (array.copy() for array in scene())
    write(model, image, mask)
    for array, before in zip((image, mask), scene(), strict=True):
        np.testing.assert_array_equal(array, before)


def test_requests_leave_each_other_and_the_checkpoint_alone(any_text_folder):
    requests = [
        {"prompt": 'a "cat"'},
        {"prompt": 'a "dog" and "cat"', "sd_guidance_scale": 1.0},
        {"sd_strength": 0.3, "sd_steps": 5},
    ]
    alone = [write(load_any_text(any_text_folder), **request) for request in requests]
    shared = load_any_text(any_text_folder)
    before = fingerprint(networks(shared).values())
    for number in (2, 0, 1, 1, 2, 0):
        np.testing.assert_array_equal(write(shared, **requests[number]), alone[number])
    assert fingerprint(networks(shared).values()) == before


def test_torchs_own_generator_is_left_alone(model):
    before = torch.get_rng_state()
    write(model)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("asked", "run"), [(1, 1), (4, 4), (7, 8), (9, 9)])
def test_steps_are_counted_as_they_are_run(model, asked, run):
    """1000 // 7 is 142, which fits eight times into what was trained."""
    seen = []
    write(model, steps=seen, sd_steps=asked)
    assert [(step.number, step.total) for step in seen] == [
        (number, run) for number in range(1, run + 1)
    ]
    assert all(step.preview is None for step in seen)


def test_an_error_in_on_step_ends_the_run_at_once(model):
    usual = write(model)
    with stopped_at_step_2() as on_step:
        model.paint(*scene(), QUICK, {}, on_step)
    np.testing.assert_array_equal(write(model), usual)


def test_previews_come_only_when_asked_for(model):
    steps = []
    watched = write(model, steps=steps, previews=True)
    for step in steps:
        assert step.preview.shape == (8, 16, 3)
        assert step.preview.dtype == np.uint8
    np.testing.assert_array_equal(watched, write(model))


def test_a_result_that_is_no_number_is_an_error_and_no_black_picture(any_text_folder):
    model = load_any_text(any_text_folder)
    model._parts.vae.decoder.conv_out.bias.data.fill_(torch.nan)
    with pytest.raises(ModelError, match="precision"):
        write(model)


def test_bfloat16_is_close_to_float32(any_text_folder, model):
    half = load_any_text(any_text_folder, precision="bf16")
    types = {name: next(network.parameters()).dtype for name, network in networks(half).items()}
    assert types.pop("line_encoder") == torch.float32
    assert set(types.values()) == {torch.bfloat16}
    assert difference(write(half), write(model)) < 25


def test_texts_can_stay_on_the_cpu_in_float32(any_text_folder):
    model = load_any_text(any_text_folder, precision="bf16", cpu_textencoder=True)
    assert model._parts.text_encoder.dtype == torch.float32
    assert model._parts.unet.dtype == torch.bfloat16
    assert write(model).std() > 10


def test_low_memory_encodes_and_decodes_in_tiles(any_text_folder, model):
    tiled = load_any_text(any_text_folder, low_mem=True)
    assert tiled._parts.vae.use_tiling
    assert tiled._parts.vae.use_slicing
    np.testing.assert_array_equal(write(tiled), write(model))  # one tile is enough here


@pytest.mark.parametrize("stays", [False, True])
def test_offloaded_networks_are_on_the_device_only_while_they_compute(
    any_text_folder, model, monkeypatch, stays
):
    """On a CPU: the moves are real, their target is what a GPU would be."""
    moves = []
    offloaded = load_any_text(any_text_folder, cpu_textencoder=stays)
    offloaded._offloads = True
    for name, network in networks(offloaded).items():
        monkeypatch.setattr(
            network, "to", lambda target, name=name: moves.append((name, str(target)))
        )
    offloaded._device = torch.device("cpu", 0)
    np.testing.assert_array_equal(write(offloaded), write(model))
    there = [name for name, target in moves if target == "cpu:0"]
    back = [name for name, target in moves if target == "cpu"]
    texts = [] if stays else ["text_encoder", "line_encoder"]
    assert there == [*texts, "vae", "hint", "unet", "control", "vae"]
    assert sorted(back) == sorted(there)
