"""MI-GAN: a small and fast eraser for photos that works on 512 px squares."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from deployments.models.checkpoints import is_tensor, read_probed_torchscript
from deployments.models.signed_pixels import to_levels, to_signed
from inpaint.arrays import Images, Masks
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

Network = Callable[[Tensor], Tensor]
"""(N, 4, 512, 512) float: 0.5 - mask, then RGB -1..1 with 0 in the holes. To RGB -1..1."""

SIDE_PX = 512
"""The only side that the network takes: its noise and its upsampling are maps of that size."""

THRESHOLD = 120
"""Mask pixels above this are holes, as in IOPaint."""


class MiGan:
    """The generator of Sargsyan et al. (2023), from IOPaint's TorchScript."""

    def __init__(self, network: Network, device: str) -> None:
        self._network = network
        self._device = device

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        """See InpaintModel.load."""
        (path,) = weights
        given = torch.zeros(1, 4, SIDE_PX, SIDE_PX)
        module = read_probed_torchscript(
            path, "MI-GAN", lambda network: is_tensor(network(given), (1, 3, SIDE_PX, SIDE_PX))
        )
        return cls(module.to(options.device), options.device)

    @torch.inference_mode()
    def forward(self, images: Images, masks: Masks, params: EraseParams) -> Images:
        """See InpaintModel.forward."""
        holes = torch.from_numpy((masks > THRESHOLD).astype(np.float32))[:, None]
        scaled, holes = to_signed(images).to(self._device), holes.to(self._device)
        return to_levels(self._network(torch.cat([0.5 - holes, scaled * (1 - holes)], dim=1)))
