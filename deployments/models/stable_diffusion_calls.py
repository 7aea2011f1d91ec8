"""One request's run of Stable Diffusion: which pipeline, and what it is told.

A variant is a function from what the checkpoint shares and an order to a call;
stable_diffusion_variants.py chooses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image as Pictures

from deployments.models.stable_diffusion_shared import Shared
from inpaint.arrays import Image, Mask
from inpaint.params import DiffusionParams


@dataclass(frozen=True, slots=True)
class Order:
    """What a request brings; see DiffusionModel.paint."""

    image: Image
    mask: Mask
    params: DiffusionParams
    adapters: Mapping[str, Path]
    generator: torch.Generator
    """All of the request's noise, in the order in which it is drawn."""


@dataclass(frozen=True, slots=True)
class Call:
    """A run that is ready to begin."""

    pipeline: Any
    """The request's own, see Shared.pipeline."""
    strength: float
    """Which part of the steps is run."""
    arguments: Callable[[], dict[str, Any]]
    """What the pipeline is told besides size, steps, guidance and generator. Asked while the
    pipeline's parts come to the device as they compute, so it may compute with them."""


def inpainting(shared: Shared, order: Order) -> Call:
    """The checkpoint by itself, or with a LoRA."""
    strength = shared.strength(order.params)
    pipeline = shared.pipeline(order.params, unet=shared.denoiser(order.params, order.adapters))
    return Call(
        pipeline,
        strength,
        lambda: picture_arguments(order, strength) | shared.prompt_arguments(order.params),
    )


def picture_arguments(order: Order, strength: float) -> dict[str, Any]:
    """What diffusers' inpainting pipelines are told of the picture."""
    return {
        "image": Pictures.fromarray(order.image),
        "mask_image": Pictures.fromarray(order.mask),
        "strength": strength,
    }
