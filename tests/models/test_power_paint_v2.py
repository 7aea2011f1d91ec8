"""PowerPaint v2 beside a checkpoint: what decides the pixels, what is shared, what is refused."""

import itertools
import shutil

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from deployments.models.brushnet import BrushNet, BrushNetConfig
from deployments.models.brushnet_unet import BrushNetUNet
from deployments.models.power_paint_prompts import TASKS, spell_out
from deployments.models.power_paint_v2 import ROLE
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
from tests.standins.brushnet import CONFIG, record, small_config
from tests.standins.clip_vocabulary import write_vocabulary
from tests.standins.damage import DAMAGES
from tests.standins.diffusion import copy_folder, edit_json, flag_everything, random_unet
from tests.standins.power_paint import (
    BRUSHNET_WEIGHTS,
    NETWORK,
    teach_words,
    write_power_paint_v2,
)

ALIKE = ("object-remove", "outpainting")
"""They have the same words: what makes the latter another task is the picture's new border."""
ENCODER = "text_encoder_brushnet"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_power_paint_v2(tmp_path_factory.mktemp("v2") / "power-paint")


@pytest.fixture
def copied(tmp_path, folder):
    return copy_folder(folder, tmp_path / "copied")


@pytest.fixture(scope="module")
def model(diffusion_folder):
    return load(diffusion_folder("sd15", 4))


def power_paint(model, folder, steps=None, **params):
    """`paint` with PowerPaint v2."""
    return paint(model, {ROLE: folder}, steps, enable_powerpaint_v2=True, **params)


def called(model, folder, **params):
    """The call of such a request, and its BrushNetUNet as the run finds it."""
    wanted = order({ROLE: folder}, enable_powerpaint_v2=True, **params)
    call = call_of(model._shared, wanted)
    call.arguments()
    return call, call.pipeline.unet


def test_tensors_are_those_of_the_published_checkpoint():
    published = record("power_paint_v2")
    with torch.device("meta"):
        network = BrushNet(BrushNetConfig.model_validate(published["config"]))
    shapes = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    assert shapes == published["tensors"]
    assert sum(tensor.numel() for tensor in network.parameters()) == 886_069_440


def test_network_is_the_unet_with_outlets():
    """With a UNet's weights and plain outlets, its states are the UNet's own, to the last one."""
    unet = random_unet("sd15", 4).eval()
    network = BrushNet(BrushNetConfig.model_validate(small_config("power_paint_v2"))).eval()
    state = network.state_dict()
    state |= {key: value for key, value in unet.state_dict().items() if key in state}
    state["conv_in_condition.bias"] = unet.conv_in.bias
    state["conv_in_condition.weight"] = torch.cat([unet.conv_in.weight, torch.ones(32, 5, 3, 3)], 1)
    for key, value in state.items():
        if key.startswith("brushnet_") and key.endswith("weight"):
            state[key] = torch.eye(len(value))[..., None, None]
    network.load_state_dict(state)
    draw = torch.Generator().manual_seed(0)
    sample, prompt = (
        torch.randn(2, 4, 8, 12, generator=draw),
        torch.randn(2, 77, 64, generator=draw),
    )
    with torch.no_grad():
        residuals = network(sample, 401, torch.zeros(2, 5, 8, 12), prompt)
        expected = unet(sample, 401, encoder_hidden_states=prompt).sample
        answer = unet.conv_out(unet.conv_act(unet.conv_norm_out(residuals.up[-1])))
    torch.testing.assert_close(answer, expected)
    assert [len(residuals.down), len(residuals.up)] == [12, 15]


def test_zeroed_outlets_leave_the_checkpoints_own_picture(model, tmp_path):
    folder = write_power_paint_v2(tmp_path / "zeroed", zeroed=True)
    arguments = model._shared.prompt_arguments(QUICK)
    pipeline = model._shared.pipeline(QUICK, StableDiffusionPipeline, unet=model._shared.unet)
    height, width = picture()[1].shape
    [expected] = pipeline(
        height=height,
        width=width,
        num_inference_steps=QUICK.sd_steps,
        guidance_scale=QUICK.sd_guidance_scale,
        generator=torch.Generator().manual_seed(QUICK.seed),
        output_type="np",
        **arguments,
    ).images
    for task in ("text-guided", "object-remove"):
        painted = power_paint(model, folder, powerpaint_task=task)
        np.testing.assert_array_equal(painted, (expected * 255).round())


def test_tasks_paint_different_pictures(model, folder):
    painted = {
        task: power_paint(model, folder, powerpaint_task=task, fitting_degree=0.5) for task in TASKS
    }
    for one, other in itertools.combinations(TASKS, 2):
        if (one, other) == ALIKE:
            np.testing.assert_array_equal(painted[one], painted[other])
        else:
            assert difference(painted[one], painted[other]) > 1, (one, other)


def test_fitting_degree_moves_from_one_word_to_the_other(model, folder):
    painted = [
        power_paint(model, folder, powerpaint_task="shape-guided", fitting_degree=degree)
        for degree in (1.0, 0.5, 1e-9)
    ]
    for one, other in itertools.combinations(painted, 2):
        assert difference(one, other) > 0.5
    context = power_paint(model, folder, powerpaint_task="context-aware")
    assert difference(painted[-1], context) < 0.01


@pytest.mark.parametrize("task", [task for task in TASKS if task != "shape-guided"])
def test_fitting_degree_means_nothing_where_the_words_are_equal(model, folder, task):
    first, second = (
        power_paint(model, folder, powerpaint_task=task, fitting_degree=degree)
        for degree in (1.0, 0.3)
    )
    np.testing.assert_array_equal(first, second)


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
    ],
    ids=str,
)
def test_every_other_parameter_changes_the_picture(model, folder, change):
    assert difference(power_paint(model, folder), power_paint(model, folder, **change)) > 1


def test_painting_starts_from_noise_whatever_the_strength(model, folder):
    first, second = (power_paint(model, folder, sd_strength=strength) for strength in (1.0, 0.4))
    np.testing.assert_array_equal(first, second)


def test_it_is_not_the_checkpoint_alone(model, folder):
    assert difference(power_paint(model, folder), paint(model)) > 5


@pytest.mark.parametrize("guidance", [7.5, 1.0])
def test_brushnet_is_told_the_words_and_the_unet_the_prompts(model, folder, guidance):
    task = {"powerpaint_task": "object-remove", "sd_guidance_scale": guidance}
    _, unet = called(model, folder, **task)
    guide = model._shared.shelf.get(folder, lambda path: pytest.fail("read again"))
    texts = [spell_out(word) for word in ("P_obj", "P_ctxt")][-2 if guidance > 1 else -1 :]
    numbers = guide.text.tokenizer(
        texts, padding="max_length", max_length=77, return_tensors="pt"
    ).input_ids
    with torch.no_grad():
        expected = guide.text.text_encoder(numbers).last_hidden_state
    torch.testing.assert_close(unet.prompt, expected)
    assert len(unet.prompt) == len(unet.conditioning)
    told = []
    unet.view.register_forward_pre_hook(
        lambda _, args, options: told.append(options["encoder_hidden_states"]), with_kwargs=True
    )
    prompt = model._shared.prompts["a cat"].tokens.expand(len(texts), -1, -1)
    with torch.no_grad():
        unet(torch.zeros(len(texts), 4, 8, 12), 1, prompt)
    assert told[0] is prompt


def test_checkpoint_is_shared_and_the_guide_is_there_once(model, folder):
    first, second = (called(model, folder, powerpaint_task=task) for task in ALIKE)
    checkpoint = model._shared.checkpoint.parts
    for call, unet in (first, second):
        assert isinstance(unet, BrushNetUNet)
        assert pointers(unet.view) == pointers(checkpoint["unet"])
        assert call.pipeline.vae is checkpoint["vae"]
        assert call.pipeline.text_encoder is None
    assert first[1].network is second[1].network
    guide = model._shared.shelf.get(folder, lambda path: pytest.fail("read again"))
    own = pointers(guide.network) | pointers(guide.text.text_encoder)
    shared = set().union(*(pointers(checkpoint[name]) for name in ("unet", "vae", "text_encoder")))
    assert not own & shared


def test_words_are_encoded_once(model, folder, monkeypatch):
    fresh = type(model)(model._shared)
    called(fresh, folder)
    guide = fresh._shared.shelf.get(folder, lambda path: pytest.fail("read again"))
    encoder = guide.text.text_encoder
    monkeypatch.setattr(encoder, "forward", lambda *args, **options: pytest.fail("encoded again"))
    power_paint(fresh, folder, prompt="something else")


def test_requests_do_not_influence_each_other(diffusion_folder, folder):
    requests = [
        lambda model: power_paint(model, folder),
        lambda model: paint(model),
        lambda model: power_paint(
            model, folder, powerpaint_task="shape-guided", fitting_degree=0.4, sd_sampler="DDIM"
        ),
        lambda model: paint(model, prompt="dog", sd_strength=0.5),
    ]
    alone = [request(load(diffusion_folder("sd15", 4))) for request in requests]
    shared = load(diffusion_folder("sd15", 4))
    for number in (1, 0, 2, 3, 1, 0):
        np.testing.assert_array_equal(requests[number](shared), alone[number])


def test_steps_are_reported_and_can_end_the_run(model, folder):
    steps = []
    usual = power_paint(model, folder, steps)
    assert [(step.number, step.total) for step in steps] == [(1, 3), (2, 3), (3, 3)]

    params = QUICK.model_copy(update={"enable_powerpaint_v2": True})
    plain = paint(model)
    with stopped_at_step_2() as on_step:
        model.paint(*picture(), params, {ROLE: folder}, on_step)
    shown = []
    model.paint(*picture(), params, {ROLE: folder}, shown.append, previews=True)
    assert [step.preview.shape for step in shown] == [(8, 12, 3)] * 3
    np.testing.assert_array_equal(power_paint(model, folder), usual)
    np.testing.assert_array_equal(paint(model), plain)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_guide_has_the_checkpoints_precision(diffusion_folder, folder, model, precision):
    half = load(diffusion_folder("sd15", 4), precision=precision)
    _, unet = called(half, folder)
    assert {tensor.dtype for tensor in unet.parameters()} == {half._shared.dtype}
    assert unet.prompt.dtype == half._shared.dtype
    painted, expected = (power_paint(runner, folder, sd_steps=1) for runner in (half, model))
    assert 0 < difference(painted, expected) < 15


def test_offloading_paints_the_same_and_leaves_nothing(model, diffusion_folder, folder, offloading):
    usual = power_paint(model, folder)
    lean = load(diffusion_folder("sd15", 4), cpu_offload=True, device="cuda")
    np.testing.assert_array_equal(power_paint(lean, folder), usual)
    guide = lean._shared.shelf.get(folder, lambda path: pytest.fail("read again"))
    asked = [pipeline for pipeline, _ in offloading]
    assert any(isinstance(pipeline.unet, BrushNetUNet) for pipeline in asked)
    assert guide.text in asked
    parts = [guide.network, guide.text.text_encoder, *lean._shared.checkpoint.parts.values()]
    assert not any(hasattr(part, "_hf_hook") for part in parts)


def test_text_encoder_stays_on_the_cpu_where_the_family_says_so(diffusion_folder, folder):
    """ "meta" stands for a GPU: a device that is not the CPU, with shapes and no values."""
    options = {"cpu_textencoder": True, "precision": "fp16", "device": "meta"}
    model = load(diffusion_folder("sd15", 4), **options)
    call_of(model._shared, order({ROLE: folder}, enable_powerpaint_v2=True))
    guide = model._shared.shelf.get(folder, lambda path: pytest.fail("read again"))
    assert guide.network.conv_in_condition.weight.device.type == "meta"
    assert guide.text.text_encoder.device.type == "cpu"
    assert guide.text.text_encoder.dtype == torch.float32


def test_safety_checker_sees_the_result(diffusion_folder, folder, tmp_path):
    strict = copy_folder(diffusion_folder("sd15", 4, checker=True), tmp_path / "strict")
    assert power_paint(load(strict), folder).std() > 10
    flag_everything(strict)
    with pytest.raises(ContentRefusedError):
        power_paint(load(strict), folder)


def test_a_checkpoint_that_sees_masks_is_refused(diffusion_folder, folder):
    with pytest.raises(ParamsError, match=r"enable_powerpaint_v2 .* 4 channels.* this one has 9"):
        power_paint(load(diffusion_folder("sd15", 9)), folder)


def test_a_checkpoint_of_another_base_is_refused(diffusion_folder, folder):
    with pytest.raises(WeightsCorruptError, match="made for another base"):
        power_paint(load(diffusion_folder("sdxl", 4)), folder)


def test_what_is_not_there_is_an_error_of_ours(model):
    with pytest.raises(WeightsMissingError, match=r"enable_powerpaint_v2 needs PowerPaint v2"):
        paint(model, enable_powerpaint_v2=True)


def test_a_vocabulary_without_the_words_is_refused(model, copied):
    shutil.rmtree(copied / "tokenizer")
    write_vocabulary(copied / "tokenizer")
    with pytest.raises(WeightsCorruptError, match="lacks PowerPaint's word P_ctxt"):
        power_paint(model, copied)


@pytest.mark.parametrize("part", ["tokenizer", ENCODER, NETWORK])
def test_a_part_that_is_missing_is_named_and_the_checkpoint_goes_on(model, copied, part):
    usual = paint(model)
    shutil.rmtree(copied / part)
    with pytest.raises(WeightsCorruptError, match=part):
        power_paint(model, copied)
    np.testing.assert_array_equal(paint(model), usual)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "file", [f"{NETWORK}/{BRUSHNET_WEIGHTS}", f"{ENCODER}/model.fp16.safetensors"]
)
def test_damage_is_told_with_the_files_name(model, copied, file, damage):
    path = copied / file
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(WeightsCorruptError, match=path.name.split(".")[0]) as caught:
        power_paint(model, copied)
    assert str(copied) not in caught.value.detail


def test_a_text_encoder_of_another_width_is_refused(model, copied):
    edit_json(copied / NETWORK / CONFIG, cross_attention_dim=96)
    with pytest.raises(WeightsCorruptError):
        power_paint(model, copied)
    edit_json(copied / NETWORK / CONFIG, cross_attention_dim=64)
    teach_words(copied / "tokenizer", copied / ENCODER, variant="fp16", second=True)
    with pytest.raises(WeightsCorruptError, match=r"text encoder is 128 wide.* reads 64"):
        power_paint(model, copied)
