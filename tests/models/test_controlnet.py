"""ControlNet: chosen by a request, around weights that everybody shares."""

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetInpaintPipeline,
    StableDiffusionXLControlNetInpaintPipeline,
)
from PIL import Image as Pictures

from deployments.models.control_pictures import edges, holes
from deployments.models.samplers import make_scheduler
from deployments.models.stable_diffusion_variants import call_of
from inpaint.errors import ContentRefusedError, WeightsMissingError
from tests.models.painting import (
    QUICK,
    difference,
    load,
    modules_of,
    order,
    paint,
    picture,
    stopped_at_step_2,
)
from tests.standins.controlnets import write_controlnet, write_depth_estimator
from tests.standins.diffusion import copy_folder, flag_everything, write_lcm_lora

CHECKPOINTS = [("sd15", 9), ("sd15", 4), ("sdxl", 9), ("sdxl", 4)]
PIPELINES = {
    "sd15": StableDiffusionControlNetInpaintPipeline,
    "sdxl": StableDiffusionXLControlNetInpaintPipeline,
}
ON = {"enable_controlnet": True}


@pytest.fixture(scope="module", params=CHECKPOINTS, ids=lambda given: f"{given[0]}-{given[1]}")
def checkpoint(request):
    return request.param


@pytest.fixture(scope="module")
def model(checkpoint, diffusion_folder):
    return load(diffusion_folder(*checkpoint))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """By family: two ControlNets. Read-only."""
    root = tmp_path_factory.mktemp("controlnets")
    return {
        family: {
            f"controlnet-{method}": write_controlnet(root / family / method, family, seed=seed)
            for seed, method in enumerate(("canny", "inpaint"))
        }
        for family in PIPELINES
    }


@pytest.fixture
def adapters(checkpoint, folders):
    return folders[checkpoint[0]]


@pytest.fixture
def canny(adapters):
    return {"controlnet-canny": adapters["controlnet-canny"]}


@pytest.fixture
def inpaint(adapters):
    return {"controlnet-inpaint": adapters["controlnet-inpaint"]}


@pytest.fixture(scope="module")
def sd15(diffusion_folder):
    return load(diffusion_folder("sd15", 9))


@pytest.fixture
def sd15_canny(folders):
    return {"controlnet-canny": folders["sd15"]["controlnet-canny"]}


def pipeline_of(model, adapters, **params):
    return call_of(model._shared, order(adapters, **params)).pipeline


def test_zero_scale_is_no_controlnet(model, canny):
    """Neither the noise that is drawn nor anything else differs."""
    for params in ({}, {"sd_strength": 0.5, "sd_steps": 6}, {"sd_sampler": "Euler a"}):
        plain = paint(model, **params)
        off = paint(model, canny, controlnet_conditioning_scale=0, **ON, **params)
        np.testing.assert_array_equal(off, plain)


def test_switched_off_it_is_not_even_read(model, tmp_path):
    np.testing.assert_array_equal(paint(model, {"controlnet-canny": tmp_path}), paint(model))


def test_a_higher_scale_changes_more(model, canny):
    plain = paint(model)
    changes = [
        difference(plain, paint(model, canny, controlnet_conditioning_scale=scale, **ON))
        for scale in (0.02, 0.4, 1.0)
    ]
    assert 0 < changes[0] < changes[1] < changes[2]


def test_scale_multiplies_what_the_controlnet_says(model, canny, tmp_path):
    """Half the scale with twice the last convolutions is the same."""
    network = ControlNetModel.from_pretrained(canny["controlnet-canny"])
    for layer in (*network.controlnet_down_blocks, network.controlnet_mid_block):
        layer.weight.data *= 2
        layer.bias.data *= 2
    network.save_pretrained(tmp_path / "louder")
    louder = {"controlnet-canny": tmp_path / "louder"}
    expected = paint(model, canny, controlnet_conditioning_scale=0.5, **ON)
    painted = paint(model, louder, controlnet_conditioning_scale=0.25, **ON)
    np.testing.assert_allclose(painted.astype(int), expected, atol=1)


def test_controlnet_paints_what_diffusers_own_pipeline_paints(
    model, checkpoint, canny, inpaint, diffusion_folder
):
    family, _ = checkpoint
    image, mask = picture()
    for folder, condition in (
        (canny["controlnet-canny"], Pictures.fromarray(edges(image))),
        (inpaint["controlnet-inpaint"], holes(image, mask)),
    ):
        pipeline = PIPELINES[family].from_pretrained(
            diffusion_folder(*checkpoint),
            controlnet=ControlNetModel.from_pretrained(folder),
            **{"sdxl": {"add_watermarker": False}, "sd15": {"safety_checker": None}}[family],
        )
        pipeline.set_progress_bar_config(disable=True)
        pipeline.scheduler = make_scheduler(QUICK.sd_sampler, pipeline.scheduler.config)
        expected = pipeline(
            prompt=QUICK.prompt,
            negative_prompt=QUICK.negative_prompt,
            image=Pictures.fromarray(image),
            mask_image=Pictures.fromarray(mask),
            control_image=condition,
            controlnet_conditioning_scale=0.7,
            strength=0.7,
            guidance_scale=QUICK.sd_guidance_scale,
            num_inference_steps=5,
            height=64,
            width=96,
            generator=torch.Generator().manual_seed(QUICK.seed),
            output_type="np",
        ).images[0]
        painted = paint(
            model,
            canny if folder in canny.values() else inpaint,
            sd_steps=5,
            sd_strength=0.7,
            controlnet_conditioning_scale=0.7,
            **ON,
        )
        np.testing.assert_array_equal(painted, (expected * 255).round().astype(np.uint8))


def test_strength_holds(model, canny):
    """IOPaint ignores it here."""
    steps = []
    weak = paint(model, canny, steps, sd_strength=0.3, sd_steps=10, **ON)
    assert [step.number for step in steps] == [1, 2, 3]
    assert {step.total for step in steps} == {3}
    assert difference(weak, paint(model, canny, sd_steps=10, **ON)) > 0.5


def test_each_request_chooses_among_resident_controlnets(
    model, canny, inpaint, adapters, monkeypatch
):
    expected = [paint(model, given, **ON) for given in (canny, inpaint)]
    assert difference(*expected) > 0.5

    def read_again(*args, **kwargs):
        raise AssertionError("it is read again")

    monkeypatch.setattr(ControlNetModel, "from_pretrained", read_again)
    plain = paint(model)
    for _ in range(2):
        for given, picture_of in zip((canny, inpaint), expected, strict=True):
            np.testing.assert_array_equal(paint(model, given, **ON), picture_of)
        np.testing.assert_array_equal(paint(model), plain)


def test_depth_and_its_controlnet_are_kept_beside_the_others(sd15, folders, tmp_path):
    depth = {
        "controlnet-depth": folders["sd15"]["controlnet-canny"],
        "depth-estimator": write_depth_estimator(tmp_path / "dpt"),
    }
    first = paint(sd15, depth, **ON)
    edges_instead = paint(sd15, {"controlnet-canny": depth["controlnet-depth"]}, **ON)
    assert difference(first, edges_instead) > 0.5
    for path in (tmp_path / "dpt").iterdir():
        path.unlink()
    np.testing.assert_array_equal(paint(sd15, depth, **ON), first)


def bytes_of(*networks):
    """Of all distinct tensors, by where they lie."""
    tensors = (tensor for network in networks for tensor in network.parameters())
    return {tensor.data_ptr(): tensor.nbytes for tensor in tensors}


def test_variants_of_a_checkpoint_share_its_weights(model, canny, inpaint, tmp_path):
    """Plain, with LCM-LoRA, with two ControlNets: each adds its own weights and no other."""
    lora = {"lcm-lora": write_lcm_lora(tmp_path, model._shared.unet, rank=4)}
    own = bytes_of(*modules_of(model._shared.checkpoint.parts.values()))
    variants = [
        pipeline_of(model, {}),
        pipeline_of(model, lora, sd_lcm_lora=True),
        pipeline_of(model, canny, **ON),
        pipeline_of(model, inpaint | lora, sd_lcm_lora=True, **ON),
    ]
    nets = [variant.controlnet for variant in variants[2:]]
    low_rank = sum(
        tensor.nbytes for name, tensor in variants[1].unet.named_parameters() if "lora_" in name
    )
    everything = bytes_of(
        *(part for call in variants for part in modules_of(call.components.values()))
    )
    beside = [sum(bytes_of(net).values()) for net in nets]
    text = {key: size for key, size in own.items() if key not in everything}
    assert sum(everything.values()) + sum(text.values()) == sum(own.values()) + low_rank + sum(
        beside
    )
    assert set(text) == set(bytes_of(*text_encoders_of(model)))
    assert not bytes_of(*nets).keys() & own.keys()
    assert variants[1].unet is variants[3].unet
    assert all(call.vae is model._shared.vae for call in variants)


def text_encoders_of(model):
    parts = model._shared.checkpoint.parts
    return [part for name, part in parts.items() if name.startswith("text_encoder")]


def test_controlnet_and_lcm_lora_go_together(model, canny, tmp_path, diffusion_folder, checkpoint):
    """Alternating with the others, each paints what it paints alone."""
    both = canny | {"lcm-lora": write_lcm_lora(tmp_path, model._shared.unet)}
    requests = [{}, ON, {"sd_lcm_lora": True}, ON | {"sd_lcm_lora": True}]
    alone = [paint(load(diffusion_folder(*checkpoint)), both, **params) for params in requests]
    for number in (3, 1, 0, 2, 3):
        np.testing.assert_array_equal(paint(model, both, **requests[number]), alone[number])
    assert all(difference(alone[3], other) > 0.5 for other in alone[:3])


@pytest.mark.parametrize(("family", "precision"), [("sd15", "bf16"), ("sdxl", "fp16")])
def test_controlnet_has_the_checkpoints_precision(diffusion_folder, folders, family, precision):
    model = load(diffusion_folder(family, 4), precision=precision)
    given = {"controlnet-inpaint": folders[family]["controlnet-inpaint"]}
    network = pipeline_of(model, given, **ON).controlnet
    assert {tensor.dtype for tensor in network.parameters()} == {model._shared.unet.dtype}
    assert difference(paint(model, given, **ON), paint(model)) > 0.5
    assert model._shared.vae.dtype == model._shared.unet.dtype


@pytest.mark.parametrize("family", PIPELINES)
def test_offloading_takes_the_controlnet_along(diffusion_folder, folders, family, offloading):
    given = {"controlnet-canny": folders[family]["controlnet-canny"]}
    usual = paint(load(diffusion_folder(family, 9)), given, **ON)
    model = load(diffusion_folder(family, 9), cpu_offload=True, device="cuda")
    network = pipeline_of(model, given, **ON).controlnet
    assert network.device.type == "cpu"
    hooked = []
    wanted = order(given, **ON)
    painted = model.paint(
        *picture(),
        wanted.params,
        given,
        lambda _: hooked.append(hasattr(network, "_hf_hook")),
    )
    np.testing.assert_array_equal(painted, usual)
    assert hooked == [True] * len(hooked)
    assert not hasattr(network, "_hf_hook")
    np.testing.assert_array_equal(paint(model, given, **ON), usual)


def test_offloading_takes_the_depth_estimator_along(diffusion_folder):
    model = load(diffusion_folder("sd15", 9), cpu_offload=True, device="cuda")
    network = torch.nn.Linear(2, 2)
    assert model._shared.place(network).weight.device.type == "cpu"
    moves = []
    network.to = moves.append

    def compute():
        with model._shared.computing(network):
            assert moves == ["cuda"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute()
    assert moves == ["cuda", "cpu"]


def test_a_run_that_ends_early_leaves_nothing_behind(model, canny):
    usual = paint(model, canny, **ON)

    with stopped_at_step_2() as on_step:
        model.paint(*picture(), order(**ON).params, canny, on_step)
    np.testing.assert_array_equal(paint(model, canny, **ON), usual)


def test_low_mem_and_previews_work(diffusion_folder, sd15_canny):
    model = load(diffusion_folder("sd15", 9), low_mem=True)
    steps = []
    params = order(**ON).params
    painted = model.paint(*picture(), params, sd15_canny, steps.append, previews=True)
    assert painted.shape == picture()[0].shape
    assert [step.preview.shape for step in steps] == [(8, 12, 3)] * 3


def test_flagged_picture_is_refused(diffusion_folder, tmp_path, sd15_canny):
    folder = copy_folder(diffusion_folder("sd15", 9, checker=True), tmp_path / "strict")
    flag_everything(folder)
    with pytest.raises(ContentRefusedError):
        paint(load(folder), sd15_canny, **ON)


def test_controlnet_that_is_not_there_is_an_error_of_ours(sd15, sd15_canny):
    with pytest.raises(WeightsMissingError, match="needs a ControlNet"):
        paint(sd15, **ON)
    with pytest.raises(WeightsMissingError, match="needs the depth estimator"):
        paint(sd15, {"controlnet-depth": sd15_canny["controlnet-canny"]}, **ON)
