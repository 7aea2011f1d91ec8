"""LCM-LoRA: chosen by a request, around weights that everybody shares."""

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

from deployments.models.lora_views import LORA_FILE, share
from deployments.models.stable_diffusion_variants import call_of
from inpaint.errors import WeightsCorruptError, WeightsMissingError
from tests.models.painting import difference, load, order, paint, pointers
from tests.standins.damage import DAMAGES
from tests.standins.diffusion import random_unet, write_lcm_lora


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def model(request, diffusion_folder):
    return load(diffusion_folder(request.param, 9))


@pytest.fixture
def lora(model, tmp_path):
    return write_lcm_lora(tmp_path / "lora", model._shared.unet)


def lora_unet(model, lora):
    wanted = order({"lcm-lora": lora}, sd_lcm_lora=True)
    return call_of(model._shared, wanted).pipeline.unet


def merged(unet, path):
    """The UNet's weights with the LoRA added: W + up @ down * alpha / rank."""
    state = load_file(path)
    weights = {key: value.clone() for key, value in unet.state_dict().items()}
    for key in weights:
        layer = f"lora_unet_{key.removesuffix('.weight').replace('.', '_')}"
        if key.endswith(".weight") and f"{layer}.lora_up.weight" in state:
            up, down = (state[f"{layer}.lora_{side}.weight"] for side in ("up", "down"))
            weights[key] += up @ down * (state[f"{layer}.alpha"] / len(down))
    return weights


def test_lora_is_added_to_the_weights_as_published(model, lora, diffusion_folder):
    family = "sdxl" if model._shared.checkpoint.is_xl else "sd15"
    by_hand = load(diffusion_folder(family, 9))
    by_hand._shared.unet.load_state_dict(merged(model._shared.unet, lora / LORA_FILE))
    expected = paint(by_hand, sd_sampler="LCM", sd_guidance_scale=1.5)
    painted = paint(model, {"lcm-lora": lora}, sd_lcm_lora=True, sd_guidance_scale=1.5)
    assert difference(painted, expected) < 0.1
    without = paint(model, sd_sampler="LCM", sd_guidance_scale=1.5)
    assert difference(painted, without) > 1


def test_sampler_becomes_lcm_whatever_is_asked_for(model, lora):
    first, second = (
        paint(model, {"lcm-lora": lora}, sd_lcm_lora=True, sd_sampler=sampler)
        for sampler in ("UniPC", "DPM++ 2M Karras")
    )
    np.testing.assert_array_equal(first, second)


def test_weights_are_shared_and_the_plain_network_stays_plain(model, lora):
    before = pointers(model._shared.unet)
    view = lora_unet(model, lora)
    own = {
        tensor.data_ptr()
        for module in view.modules()
        if isinstance(module, LoraLayer)
        for name, tensor in module.named_parameters()
        if "lora_" in name
    }
    assert pointers(model._shared.unet) == before
    assert pointers(view) == before | own
    assert not own & before
    assert not any(isinstance(module, LoraLayer) for module in model._shared.unet.modules())
    shared = dict(model._shared.unet.named_parameters())
    for name, tensor in view.named_parameters():
        if "lora_" not in name:
            assert tensor is shared[name.replace(".base_layer", "")]


def test_lora_is_read_once(model, lora):
    adapters = {"lcm-lora": lora}
    first = paint(model, adapters, sd_lcm_lora=True)
    (lora / LORA_FILE).unlink()
    np.testing.assert_array_equal(paint(model, adapters, sd_lcm_lora=True), first)


def test_requests_with_and_without_do_not_influence_each_other(model, lora):
    adapters = {"lcm-lora": lora}
    plain, quick = paint(model), paint(model, adapters, sd_lcm_lora=True)
    for _ in range(2):
        np.testing.assert_array_equal(paint(model, adapters), plain)
        np.testing.assert_array_equal(paint(model, adapters, sd_lcm_lora=True), quick)


def test_file_and_folder_are_the_same(model, lora):
    folder, file = (
        paint(model, {"lcm-lora": path}, sd_lcm_lora=True) for path in (lora, lora / LORA_FILE)
    )
    np.testing.assert_array_equal(folder, file)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_lora_has_the_checkpoints_precision(diffusion_folder, tmp_path, precision):
    model = load(diffusion_folder("sd15", 9), precision=precision)
    lora = write_lcm_lora(tmp_path, model._shared.unet)
    view = lora_unet(model, lora)
    assert {tensor.dtype for tensor in view.parameters()} == {model._shared.unet.dtype}
    paint(model, {"lcm-lora": lora}, sd_lcm_lora=True)


def test_missing_lora_is_an_error_of_ours(model, tmp_path):
    with pytest.raises(WeightsMissingError, match="LCM-LoRA"):
        paint(model, sd_lcm_lora=True)
    with pytest.raises(WeightsCorruptError, match=LORA_FILE):
        paint(model, {"lcm-lora": tmp_path}, sd_lcm_lora=True)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_lora_is_refused_and_the_model_goes_on(model, lora, damage):
    usual = paint(model)
    path = lora / LORA_FILE
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(WeightsCorruptError, match=LORA_FILE):
        paint(model, {"lcm-lora": lora}, sd_lcm_lora=True)
    np.testing.assert_array_equal(paint(model), usual)


def test_lora_of_another_network_is_refused(model, tmp_path):
    other = random_unet("sd15" if model._shared.checkpoint.is_xl else "sdxl", 9)
    lora = write_lcm_lora(tmp_path, other)
    before = pointers(model._shared.unet)
    with pytest.raises(WeightsCorruptError, match="no LoRA for this checkpoint"):
        paint(model, {"lcm-lora": lora}, sd_lcm_lora=True)
    assert pointers(model._shared.unet) == before


def test_weights_that_are_no_lora_are_refused(model, tmp_path):
    path = tmp_path / LORA_FILE
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsCorruptError, match="no LoRA for this checkpoint"):
        paint(model, {"lcm-lora": path}, sd_lcm_lora=True)


def test_a_shared_network_moves_and_changes_with_its_original():
    unet = random_unet("sd15", 4)
    view = share(unet)
    assert view is not unet
    assert view.conv_in is not unet.conv_in
    unet.to(torch.bfloat16)
    assert view.conv_in.weight.dtype == torch.bfloat16
    assert view.conv_in.weight.data_ptr() == unet.conv_in.weight.data_ptr()
