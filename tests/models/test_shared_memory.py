"""What a checkpoint's variants take of memory: every tensor that is alive, counted."""

import gc

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from deployments.models.adapter_shelf import KEPT
from tests.models.painting import load, paint
from tests.standins.brushnet import write_brushnet
from tests.standins.controlnets import write_controlnet
from tests.standins.diffusion import write_lcm_lora
from tests.standins.power_paint import write_power_paint_v2

SLACK = 60_000
"""Bytes beside the weights: a schedule of noise, encoded prompts, numbers of tokens."""


def bytes_alive():
    """Of all tensors of this process, each storage once."""
    gc.collect()
    storages = [
        one.untyped_storage() for one in gc.get_objects() if issubclass(type(one), torch.Tensor)
    ]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def bytes_of(*paths):
    """Of the tensors in safetensors files, as float32."""
    tensors = [tensor for path in paths for tensor in load_file(path).values()]
    return sum(4 * tensor.numel() for tensor in tensors if tensor.is_floating_point())


def variants(family, folder, unet):
    """By name: what a request asks for, its adapters, and the bytes of their weights."""
    lora = write_lcm_lora(folder / "lora", unet)
    controls = [write_controlnet(folder / f"control-{n}", family, seed=n) for n in (1, 2)]
    brush = write_brushnet(folder / "brush", family)
    asked = {
        "LCM-LoRA": ("sd_lcm_lora", "lcm-lora", lora),
        "ControlNet": ("enable_controlnet", "controlnet-canny", controls[0]),
        "another ControlNet": ("enable_controlnet", "controlnet-inpaint", controls[1]),
        "BrushNet": ("enable_brushnet", "brushnet", brush),
    }
    if family == "sd15":
        power = write_power_paint_v2(folder / "power")
        asked["PowerPaint v2"] = ("enable_powerpaint_v2", "powerpaint-v2", power)
    return {
        name: ({switch: True}, {role: path}, bytes_of(*path.rglob("*.safetensors")))
        for name, (switch, role, path) in asked.items()
    }


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_each_variant_adds_its_own_weights_once(family, diffusion_folder, tmp_path):
    """The oldest leaves when there are more than are kept."""
    folder = diffusion_folder(family, 4)
    before = bytes_alive()
    model = load(folder)
    own = bytes_of(*folder.glob("*/*.safetensors"))
    assert bytes_alive() - before == pytest.approx(own, abs=SLACK)
    asked = variants(family, tmp_path, model._shared.unet)
    plain = paint(model)  # encodes the prompts
    at_first = bytes_alive()
    kept: list[int] = []
    for name, (params, adapters, size) in asked.items():
        kept = [*kept, size][-KEPT:]
        painted = paint(model, adapters, **params)
        added = bytes_alive() - at_first
        assert added == pytest.approx(sum(kept), abs=SLACK), name
        np.testing.assert_array_equal(paint(model, adapters, **params), painted)
        np.testing.assert_array_equal(paint(model), plain)
        assert bytes_alive() - at_first == added, name
