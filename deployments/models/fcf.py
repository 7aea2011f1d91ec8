"""FcF: the erase model that continues textures and structure, on tiles of 512 px."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from deployments.models.checkpoints import StateDict, corrupt, fill_network, read_state_dict
from deployments.models.fcf_network import FcfNetwork
from deployments.models.fcf_synthesis import FIRST_FOURIER_PX
from deployments.models.fourier import Channels
from deployments.models.signed_pixels import to_levels, to_signed
from inpaint.arrays import Images, Masks
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

Network = Callable[[Tensor, Tensor], Tensor]
"""(N, 3, H, W) float RGB -1..1 and (N, 1, H, W) float mask of 0 and 1, to RGB of about -1..1."""

HOLE_ABOVE = 120
"""A mask value above this is a hole, as in IOPaint: shrinking a mask makes grey values."""

WIDTH_KEY = re.compile(r"encoder\.b([1-9]\d{0,4})\.conv0\.weight")
"""The first convolution at a size in pixels; its outputs are the width at that size."""

LAST_WIDTH_KEY = "encoder.b4.conv.weight"
"""The same of the smallest size."""


class Fcf:
    """places_512_G and its kin, as state dicts of the authors' network."""

    def __init__(self, network: Network, device: str) -> None:
        self._network = network
        self._device = device

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        """See InpaintModel.load. `spec.precisions` lets float32 only come here."""
        (path,) = weights
        state = read_state_dict(path)
        widths = widths_of(state, path)
        side = max(widths)
        if spec.size.padded((1, 1)) != (side, side):
            raise corrupt(path, f"it is for pictures of {side} px, which its tiles are not.")
        with torch.device("meta"):
            network = FcfNetwork(widths)
        fill_network(network, state, path, options.device)
        return cls(network, options.device)

    @torch.inference_mode()
    def forward(self, images: Images, masks: Masks, params: EraseParams) -> Images:
        """See InpaintModel.forward."""
        holes = torch.from_numpy((masks > HOLE_ABOVE).astype(np.float32))[:, None]
        scaled = to_signed(images)
        return to_levels(self._network(scaled.to(self._device), holes.to(self._device)))


def widths_of(state: StateDict, path: Path) -> dict[int, int]:
    """Channels at every size, from 4 px to the picture's, as the checkpoint has them."""
    widths = {
        int(match[1]): len(state[key])
        for key in state
        if (match := WIDTH_KEY.fullmatch(key)) and state[key].ndim == 4
    }
    last = state.get(LAST_WIDTH_KEY)
    if last is None or last.ndim != 4 or sorted(widths) != doublings(8, len(widths)):
        raise corrupt(path, "it does not hold an FcF generator.")
    widths[4] = len(last)
    if not all(widths.values()) or not all(
        can_quarter(width) for px, width in widths.items() if px >= FIRST_FOURIER_PX
    ):
        raise corrupt(path, "it holds an FcF generator of a width that cannot work.")
    return widths


def can_quarter(width: int) -> bool:
    """Whether a fast Fourier block of `width` channels can give each quarter its share."""
    half = Channels.split(width).wide // 2
    return half > 0 and half % 4 == 0


def doublings(first: int, count: int) -> list[int]:
    """`count` numbers, at least one, of which each is twice the last."""
    return [first * 2**step for step in range(max(count, 1))]
