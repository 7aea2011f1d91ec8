"""Depth of a picture by DPT (Ranftl et al. 2021), for ControlNets that keep to it."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from transformers import DPTForDepthEstimation
from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

from deployments.models.stable_diffusion_calls import Order
from deployments.models.stable_diffusion_folders import read_json, read_network
from deployments.models.stable_diffusion_parts import reading
from deployments.models.stable_diffusion_shared import Shared
from inpaint.arrays import Image
from inpaint.errors import WeightsMissingError

DEPTH_ESTIMATOR = "depth-estimator"
IDLE = ("neck.fusion_stage.layers.0.residual_layer1.",)
"""The first layer of the fusion has nothing to add to, and the published weights lack this."""

FLAT, TINY = 1e-3, 1e-30
"""A smaller spread, as a share of the largest value or by itself, is rounding and no depth."""


@dataclass(frozen=True, slots=True)
class Estimator:
    """A network, and what makes its input of a picture."""

    network: Any
    """DPTForDepthEstimation"""
    processor: Any
    """Without torchvision, which transformers' other one needs."""


def estimator_for(shared: Shared, order: Order) -> Estimator:
    """The estimator of an order.

    Raises:
        WeightsMissingError: it is not among the order's adapters.
        WeightsCorruptError: it is damaged, or no DPT.
    """
    path = order.adapters.get(DEPTH_ESTIMATOR)
    if path is None:
        raise WeightsMissingError(
            "A ControlNet for depth needs the depth estimator, which is not on the server."
        )
    return shared.shelf.get(path, partial(_read_for, shared))


def depth_map(image: Image, estimator: Estimator, shared: Shared) -> Image:
    """(H, W, 3) uint8, grey: 255 where `image` is nearest, 0 where it is farthest.

    As diffusers' guide to ControlNets for depth draws it, except that the map is as large as the
    picture: https://huggingface.co/diffusers/controlnet-depth-sdxl-1.0.
    """
    pixels = estimator.processor(image, return_tensors="pt").pixel_values
    network = estimator.network
    with shared.computing(network), torch.no_grad():
        depth = network(pixels.to(network.device, network.dtype)).predicted_depth
    return as_picture(depth.float().cpu(), image.shape[0], image.shape[1])


def as_picture(depth: Tensor, height: int, width: int) -> Image:
    """(1, h, w) float32 of any range as a grey (height, width, 3) uint8 of the whole range."""
    resized = interpolate(depth[None], (height, width), mode="bicubic", align_corners=False)[0, 0]
    lowest, highest = resized.min().item(), resized.max().item()
    spread = max(highest - lowest, FLAT * max(abs(lowest), abs(highest)), TINY)
    levels = ((resized - lowest) / spread * 255).to(torch.uint8).numpy()
    return np.repeat(levels[:, :, None], 3, axis=2)


def read_estimator(folder: Path, dtype: torch.dtype) -> Estimator:
    """What a folder in transformers' layout holds, on the CPU.

    Raises:
        WeightsCorruptError: a file is missing or damaged, or of another network.
    """
    network = read_network(DPTForDepthEstimation, folder, folder, None, dtype, IDLE)
    path = folder / "preprocessor_config.json"
    read_json(path, folder)
    with reading(path, folder):
        processor = DPTImageProcessorPil.from_pretrained(folder, local_files_only=True)
    return Estimator(network, processor)


def _read_for(shared: Shared, folder: Path) -> Estimator:
    estimator = read_estimator(folder, shared.dtype)
    shared.place(estimator.network)
    return estimator
