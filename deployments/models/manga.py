"""Manga inpainting: lines and screentones of black-and-white comics."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deployments.models.checkpoints import is_tensor, read_probed_torchscript
from inpaint.arrays import Image, Images, Mask, Masks
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

Liner = Callable[[Tensor], Tensor]
"""(1, 1, H, W) float grey 0..255, to the drawing's lines on the same scale; may overshoot."""

Painter = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""Grey -1..1, lines -1..1, mask of 0 and 1, normal noise, ones; all (1, 1, H, W) float. To grey
-1..1."""

PROBE_PX = 32
"""The smallest side that the painter takes: it reflects 2 px of an eighth of it."""


class Manga:
    """The painter of Xie et al. (2021), guided by the line extraction of Li et al. (2017).

    Sees and answers grey, so a hole in a coloured picture comes back without colour, as in
    IOPaint. Every mask pixel above 0 is a hole.
    """

    def __init__(self, liner: Liner, painter: Painter, default_seed: int, device: str) -> None:
        self._liner = liner
        self._painter = painter
        self._default_seed = default_seed
        self._device = device

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        """See InpaintModel.load. The files: the painter, then the line extraction."""
        painter_path, liner_path = weights
        plane = torch.zeros(1, 1, PROBE_PX, PROBE_PX)
        painter = read_probed_torchscript(
            painter_path,
            "the manga inpainter",
            lambda network: is_tensor(network(*[plane] * 5), plane.shape),
        )
        liner = read_probed_torchscript(
            liner_path,
            "the manga line extraction",
            lambda network: is_tensor(network(plane), plane.shape),
        )
        device = options.device
        return cls(liner.to(device), painter.to(device), spec.default_seed or 0, device)

    @torch.inference_mode()
    def forward(self, images: Images, masks: Masks, params: EraseParams) -> Images:
        """See InpaintModel.forward. Each image by itself, so each gets the same noise."""
        seed = self._default_seed if params.seed is None else params.seed
        noise = noise_of(seed, *masks.shape[1:]).to(self._device)
        grey = [
            self._repaint(image, mask, noise) for image, mask in zip(images, masks, strict=True)
        ]
        return np.repeat(np.stack(grey)[..., None], 3, axis=-1)

    def _repaint(self, image: Image, mask: Mask, noise: Tensor) -> Mask:
        """(H, W) uint8 grey."""
        grey = self._plane(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        lines = self._liner(grey).clamp(0, 255)
        hole = self._plane(mask > 0)
        painted = self._painter(
            grey / 255 * 2 - 1, lines / 255 * 2 - 1, hole, noise, torch.ones_like(hole)
        )
        levels = painted[0, 0].cpu().numpy() * 127.5 + 127.5
        # Truncated as in IOPaint, but clipped: there 256 becomes 0.
        return np.clip(levels, 0, 255).astype(np.uint8)

    def _plane(self, array: NDArray[Any]) -> Tensor:
        """An (H, W) array as (1, 1, H, W) float32 on the device."""
        return torch.from_numpy(array.astype(np.float32))[None, None].to(self._device)


def noise_of(seed: int, height: int, width: int) -> Tensor:
    """(1, 1, height, width) normal noise: what torch draws after torch.manual_seed(seed).

    Drawn on the CPU for every device, so that a seed gives one picture everywhere.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 1, height, width, generator=generator)
