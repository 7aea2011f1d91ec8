"""ControlNet: a second network that keeps Stable Diffusion to a control picture."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetInpaintPipeline,
    StableDiffusionXLControlNetInpaintPipeline,
)

from deployments.models.checkpoints import corrupt
from deployments.models.control_pictures import maker_of
from deployments.models.guide_fit import misfit
from deployments.models.stable_diffusion_calls import Call, Order, picture_arguments
from deployments.models.stable_diffusion_folders import read_json, read_network
from deployments.models.stable_diffusion_shared import Shared
from inpaint.adapters import CONTROLNET
from inpaint.errors import WeightsMissingError
from inpaint.specs import Base

logger = logging.getLogger("ray.serve")

PIPELINES: dict[Base, Any] = {
    "sd15": StableDiffusionControlNetInpaintPipeline,
    "sdxl": StableDiffusionXLControlNetInpaintPipeline,
}
"""Both take networks that see the mask (9 channels) and networks that do not (4)."""

VARIANT = "fp16"
"""Weights that are preferred to the full ones where a folder has both."""
CONDITION = {"in_channels": 4, "conditioning_channels": 3}
"""Latents and an RGB picture: what the pipelines feed a ControlNet with."""
CONDITION_LEVELS = 4
"""Of the small network that reads the control picture: it shrinks it to the size of the latents,
by 2 after each level but the last."""


def guided(shared: Shared, order: Order) -> Call:
    """The call with the ControlNet of the order, with or without a LoRA.

    Everything else is as without a ControlNet; `sd_strength` holds too, which IOPaint does not
    read here.

    Raises:
        WeightsMissingError: there is no ControlNet among the order's adapters, or what makes its
            control picture is not on disk.
        WeightsCorruptError: one of them is damaged, or made for another base.
        ExtraMissingError: a package that makes the control picture is not installed.
    """
    role = next((role for role in order.adapters if role.startswith(CONTROLNET)), None)
    if role is None:
        raise WeightsMissingError(
            "enable_controlnet needs a ControlNet, and none is on the server."
        )
    draw = maker_of(role.removeprefix(CONTROLNET), shared, order)
    network = shared.shelf.get(order.adapters[role], partial(_read_for, shared))
    params = order.params
    pipeline = shared.pipeline(
        params,
        PIPELINES[shared.checkpoint.base],
        unet=shared.denoiser(params, order.adapters),
        controlnet=network,
    )
    strength = shared.strength(params)

    def arguments() -> dict[str, Any]:
        return {
            **picture_arguments(order, strength),
            **shared.prompt_arguments(params),
            "control_image": draw(),
            "controlnet_conditioning_scale": params.controlnet_conditioning_scale,
        }

    return Call(pipeline, strength, arguments)


def _read_for(shared: Shared, folder: Path) -> Any:
    return shared.place(read_controlnet(folder, shared.unet, shared.dtype))


def read_controlnet(folder: Path, unet: Any, dtype: torch.dtype) -> Any:
    """The network of a folder in diffusers' layout, on the CPU, in evaluation mode.

    Args:
        folder: holds config.json and diffusion_pytorch_model.safetensors, or .bin.
        unet: what it is to guide, UNet2DConditionModel.
        dtype: what the weights are read as.

    Raises:
        WeightsCorruptError: a file is missing or damaged, or made for another base.
    """
    path = folder / "config.json"
    if read_json(path, folder).get("_class_name") != ControlNetModel.__name__:
        raise corrupt(path, "it describes no ControlNetModel.")
    network = read_network(ControlNetModel, folder, folder, VARIANT, dtype, exact=True)
    config = network.config
    trouble = misfit(network, unet)
    for name, wanted in CONDITION.items():
        if config[name] != wanted:
            trouble = f"its {name} is {config[name]}, and must be {wanted}"
    if len(config.conditioning_embedding_out_channels) != CONDITION_LEVELS:
        trouble = "its control picture is of another size than the checkpoint's latents"
    if trouble:
        raise corrupt(path, f"it is no ControlNet for this checkpoint: {trouble}.")
    logger.info("controlnet loaded folder=%s", folder.name)
    return network
