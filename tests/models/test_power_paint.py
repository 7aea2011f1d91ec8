"""Painting with PowerPaint v1: its tasks, and what it has of Stable Diffusion."""

import itertools

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from PIL import Image as Pictures

from deployments.models.power_paint import PowerPaint
from deployments.models.power_paint_prompts import TASKS, vectors_of
from deployments.models.samplers import make_scheduler
from deployments.models.stable_diffusion_folders import read_folder
from deployments.models.stable_diffusion_parts import Plan
from inpaint.diffusion import DiffusionModel
from inpaint.errors import ContentRefusedError, ParamsError, WeightsCorruptError
from inpaint.protocols import LoadOptions
from tests.models.painting import QUICK, SPEC, difference, paint, picture, stopped_at_step_2
from tests.standins.diffusion import (
    age_text_encoder,
    copy_folder,
    flag_everything,
    pickle_weights,
    write_hub_folder,
)
from tests.standins.power_paint import write_power_paint

ALIKE = ("object-remove", "outpainting")
"""They have the same prompts: what makes the latter another task is the picture's new border."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_power_paint(tmp_path_factory.mktemp("power-paint"), checker=True)


@pytest.fixture(scope="module")
def model(folder):
    return load(folder)


@pytest.fixture
def copied(tmp_path, folder):
    return copy_folder(folder, tmp_path / "copied")


def load(folder, **options):
    return PowerPaint.load(SPEC, [folder], LoadOptions(**{"safety_checker": "off"} | options))


def encode_by_hand(parts, text, *words):
    """Tokens are CLIP's start, the text's, the words' vectors, CLIP's end up to 77."""
    tokenizer, encoder = parts["tokenizer"], parts["text_encoder"]
    start, *numbers, end = tokenizer(text).input_ids
    for word in words:
        numbers += [tokenizer.get_vocab()[name] for name in vectors_of(word)]
    padded = [start, *numbers, *[end] * (76 - len(numbers))]
    with torch.no_grad():
        return encoder(torch.tensor([padded])).last_hidden_state


def test_picture_is_that_of_diffusers_told_the_mixed_prompts(folder, model):
    """Encoded, mixed and run here once more, from the folder on."""
    parts = read_folder(folder, Plan.of(None, LoadOptions(safety_checker="off"), {})).parts
    shape, context = (encode_by_hand(parts, "a cat", word) for word in ("P_shape", "P_ctxt"))
    pipeline = StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)
    pipeline.scheduler = make_scheduler("UniPC", parts["scheduler"].config)
    image, mask = picture()
    [expected] = pipeline(
        image=Pictures.fromarray(image),
        mask_image=Pictures.fromarray(mask),
        height=image.shape[0],
        width=image.shape[1],
        strength=1.0,
        num_inference_steps=3,
        guidance_scale=7.5,
        prompt_embeds=0.3 * shape + 0.7 * context,
        negative_prompt_embeds=encode_by_hand(parts, "dog"),
        generator=torch.Generator().manual_seed(7),
        output_type="np",
    ).images
    painted = paint(model, powerpaint_task="shape-guided", fitting_degree=0.3)
    assert difference(painted, (expected * 255).round()) < 0.01


@pytest.mark.parametrize("task", TASKS)
def test_task_decides_both_sides_of_the_guidance(model, task):
    params = QUICK.model_copy(update={"powerpaint_task": task, "fitting_degree": 0.4})
    arguments = model._prompt_arguments(params)
    words, parts = TASKS[task], model._shared.checkpoint.parts
    first, second = (encode_by_hand(parts, "a cat", word) for word in (words.first, words.second))
    torch.testing.assert_close(arguments["prompt_embeds"], 0.4 * first + 0.6 * second)
    negative = encode_by_hand(parts, "dog", *filter(None, [words.negative]))
    torch.testing.assert_close(arguments["negative_prompt_embeds"], negative)


def test_tasks_paint_different_pictures(model):
    painted = {task: paint(model, powerpaint_task=task, fitting_degree=0.5) for task in TASKS}
    for one, other in itertools.combinations(TASKS, 2):
        if (one, other) == ALIKE:
            np.testing.assert_array_equal(painted[one], painted[other])
        else:
            assert difference(painted[one], painted[other]) > 5, (one, other)


def test_fitting_degree_moves_from_one_word_to_the_other(model):
    degrees = (1.0, 0.6, 0.2, 1e-9)
    painted = [
        paint(model, powerpaint_task="shape-guided", fitting_degree=degree) for degree in degrees
    ]
    for one, other in itertools.combinations(painted, 2):
        assert difference(one, other) > 1
    # Next to nothing of the first word is the second word alone: the context-aware task.
    context = paint(model, powerpaint_task="context-aware")
    assert difference(painted[-1], context) < 0.01


@pytest.mark.parametrize("task", [task for task in TASKS if task != "shape-guided"])
def test_fitting_degree_means_nothing_where_the_words_are_equal(model, task):
    first, second = (
        paint(model, powerpaint_task=task, fitting_degree=degree) for degree in (1.0, 0.3)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a dog"},
        {"negative_prompt": "cat"},
        {"sd_steps": 5},
        {"sd_strength": 0.4},
        {"sd_guidance_scale": 3.0},
        {"sd_guidance_scale": 1.0},
        {"sd_sampler": "Euler a"},
        {"seed": 8},
    ],
    ids=str,
)
def test_every_other_parameter_changes_the_picture(model, change):
    assert difference(paint(model), paint(model, **change)) > 1


def test_negative_words_are_read_only_with_guidance_above_1(model):
    first, second = (
        paint(model, powerpaint_task=task, sd_guidance_scale=1.0)
        for task in ("context-aware", "object-remove")
    )
    np.testing.assert_array_equal(first, second)


def test_a_word_in_the_prompt_is_the_word(model):
    task = paint(model, powerpaint_task="context-aware", prompt="a cat P_obj")
    assert difference(task, paint(model, powerpaint_task="context-aware")) > 1
    encoded = model._shared.prompts["a cat " + " ".join(vectors_of("P_obj"))].tokens
    expected = encode_by_hand(model._shared.checkpoint.parts, "a cat", "P_obj")
    torch.testing.assert_close(encoded, expected)


def test_runner_satisfies_the_protocol(model):
    runner: DiffusionModel = model
    image, mask = picture()
    painted = runner.paint(image, mask, QUICK, {}, lambda _: None)
    assert (painted.shape, painted.dtype) == (image.shape, np.uint8)


def test_requests_do_not_influence_each_other(folder, model):
    requests = [
        {"powerpaint_task": "shape-guided", "fitting_degree": 0.5},
        {"powerpaint_task": "object-remove", "sd_sampler": "Euler a"},
        {"powerpaint_task": "shape-guided"},
        {},
    ]
    alone = [paint(load(folder), **request) for request in requests]
    for number in (3, 0, 2, 1, 0, 3):
        np.testing.assert_array_equal(paint(model, **requests[number]), alone[number])


def test_steps_are_reported_and_can_end_the_run(model):
    steps = []
    usual = paint(model, steps=steps, sd_steps=6, sd_strength=0.5)
    assert [(step.number, step.total) for step in steps] == [(1, 3), (2, 3), (3, 3)]
    assert [step.preview for step in steps] == [None] * 3
    with stopped_at_step_2() as on_step:
        model.paint(*picture(), QUICK, {}, on_step)
    shown = []
    model.paint(*picture(), QUICK, {}, shown.append, previews=True)
    assert [step.preview.shape for step in shown] == [(8, 12, 3)] * 3
    np.testing.assert_array_equal(paint(model, sd_steps=6, sd_strength=0.5), usual)


def test_parameters_that_leave_no_step_are_refused(model):
    with pytest.raises(ParamsError, match="sd_strength"):
        paint(model, sd_steps=2, sd_strength=0.1)


def test_prompts_are_encoded_once(folder, monkeypatch):
    model = load(folder)
    encoder = model._shared.checkpoint.parts["text_encoder"]
    calls, original = [], encoder.forward
    monkeypatch.setattr(
        encoder, "forward", lambda *args, **options: calls.append(1) or original(*args, **options)
    )
    for degree in (0.2, 0.8):
        paint(model, powerpaint_task="shape-guided", fitting_degree=degree)
    assert len(calls) == 3  # two words of the prompt, and the negative one


def test_offloading_and_low_memory_paint_the_same(folder, model, offloading):
    request = {"powerpaint_task": "shape-guided", "fitting_degree": 0.5}
    lean = load(folder, cpu_offload=True, device="cuda")
    np.testing.assert_array_equal(paint(lean, **request), paint(model, **request))
    assert {name for pipeline, _ in offloading for name in pipeline.components} >= {"unet", "vae"}
    tiled = load(folder, low_mem=True)
    assert tiled._shared.vae.use_tiling
    assert paint(tiled, **request).shape == picture()[0].shape


def test_text_encoder_apart_paints_nearly_the_same(folder):
    together, apart = (
        paint(
            load(folder, precision="bf16", cpu_textencoder=apart),
            powerpaint_task="shape-guided",
            fitting_degree=0.5,
        )
        for apart in (False, True)
    )
    assert 0 < difference(together, apart) < 15


def test_safety_checker_passes_and_refuses(folder, model, copied):
    checked = load(folder, safety_checker="checkpoint")
    np.testing.assert_array_equal(paint(checked), paint(model))
    flag_everything(copied)
    with pytest.raises(ContentRefusedError):
        paint(load(copied, safety_checker="checkpoint"))


@pytest.mark.parametrize("change", [age_text_encoder, pickle_weights], ids=lambda f: f.__name__)
def test_older_ways_of_storing_mean_the_same_picture(copied, model, change):
    change(copied)
    np.testing.assert_array_equal(paint(load(copied)), paint(model))


def test_snapshot_in_half_precision_is_read_where_it_is(tmp_path, model):
    snapshot = write_hub_folder(
        tmp_path,
        "Sanster/PowerPaint-V1-stable-diffusion-inpainting",
        lambda path: write_power_paint(path, variant="fp16"),
    )
    assert 0 < difference(paint(load(snapshot)), paint(model)) < 5


def test_checkpoint_without_the_words_is_refused(diffusion_folder):
    with pytest.raises(WeightsCorruptError, match="lacks PowerPaint's word P_ctxt"):
        load(diffusion_folder("sd15", 9))


def test_text_encoder_of_another_vocabulary_is_refused(copied, diffusion_folder):
    other = diffusion_folder("sd15", 9)
    for name in ("config.json", "model.safetensors"):
        (copied / "text_encoder" / name).write_bytes((other / "text_encoder" / name).read_bytes())
    with pytest.raises(WeightsCorruptError, match="548 entries, and its text encoder 518 rows"):
        load(copied)
