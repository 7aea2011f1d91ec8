"""MAT: the erase model for holes that take most of a picture, which it fills with new content."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from deployments.models.checkpoints import StateDict, corrupt, fill_network, read_state_dict
from deployments.models.mat_first_stage import SIDE
from deployments.models.mat_network import SMALLEST, MatNetwork, MatWidths
from deployments.models.mat_transformer import HEADS
from deployments.models.signed_pixels import to_levels, to_signed
from inpaint.arrays import Images, Masks
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

Network = Callable[[Tensor, Tensor, Tensor, torch.Generator], Tensor]
"""See MatNetwork.forward."""

HOLE_ABOVE = 127
"""A mask value above this is a hole, as in IOPaint."""

FIRST_STAGE_KEY = "synthesis.first_stage.conv_first.conv.weight"
SUMMARY_KEY = "synthesis.to_style.fc.weight"
MAPPING_KEY = "mapping.fc0.weight"
ENCODER_KEY = re.compile(r"synthesis\.enc\.EncConv_Block_([1-9]\d{0,4})x\1\.conv0\.weight")
"""The first convolution at a size in pixels; its outputs are the width at that size."""


class Mat:
    """Places_512_FullData_G and its kin, as state dicts of the authors' network.

    Args:
        network: see Network.
        z: numbers in the latent vector.
        default_seed: of requests that name none.
        device: where the network is.
        dtype: what it computes in.
    """

    def __init__(
        self, network: Network, z: int, default_seed: int, device: str, dtype: torch.dtype
    ) -> None:
        self._network = network
        self._z = z
        self._default_seed = default_seed
        self._device = device
        self._dtype = dtype

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        """See InpaintModel.load. Half precision on CUDA only: CPUs are slower in it."""
        (path,) = weights
        state = read_state_dict(path)
        widths = widths_of(state, path)
        if spec.size.multiple_of % widths.resolution:
            raise corrupt(path, f"it is for pictures of {widths.resolution} px, not of this size.")
        with torch.device("meta"):
            network = MatNetwork(widths)
        fill_network(network, state, path, options.device)
        is_half = options.precision == "fp16" and options.device.startswith("cuda")
        dtype = torch.float16 if is_half else torch.float32
        return cls(network.to(dtype), widths.z, spec.default_seed or 0, options.device, dtype)

    @torch.inference_mode()
    def forward(self, images: Images, masks: Masks, params: EraseParams) -> Images:
        """See InpaintModel.forward. Every image gets the same noise, so a batch changes nothing."""
        seed = self._default_seed if params.seed is None else params.seed
        valid = torch.from_numpy((masks <= HOLE_ABOVE)[:, None])
        painted = self._network(
            self._placed(to_signed(images)),
            self._placed(valid),
            self._placed(latent_of(seed, self._z)),
            torch.Generator().manual_seed(seed),
        )
        return to_levels(painted.float())

    def _placed(self, x: Tensor) -> Tensor:
        return x.to(self._device, self._dtype)


def latent_of(seed: int, count: int) -> Tensor:
    """(1, count) normal noise: what IOPaint draws, whose only seed is 240."""
    return torch.from_numpy(np.random.RandomState(seed).randn(1, count))


def widths_of(state: StateDict, path: Path) -> MatWidths:
    """How wide the layers of a checkpoint are, and for what size it was trained."""
    first, summary, mapping = (
        shape_of(state, key) for key in (FIRST_STAGE_KEY, SUMMARY_KEY, MAPPING_KEY)
    )
    encoder = {
        int(match[1]): shape_of(state, key)
        for key in state
        if (match := ENCODER_KEY.fullmatch(key))
    }
    sizes = sorted(encoder, reverse=True)
    ranks = (len(first), len(summary), len(mapping), *map(len, encoder.values()))
    if (
        ranks != (4, 2, 2, *[4] * len(sizes))
        or max(sizes, default=0) <= SIDE  # its first stage would have nothing to paint with
        or sizes != [SMALLEST << step for step in reversed(range(len(sizes)))]
    ):
        raise corrupt(path, "it does not hold a MAT generator.")
    widths = MatWidths(
        first_stage=first[0],
        second_stage=tuple(encoder[size][0] for size in sizes),
        z=mapping[1],
        w=mapping[0],
        summary=summary[0],
    )
    positive = (*widths.second_stage, widths.first_stage, widths.z, widths.w, widths.summary)
    if not all(positive) or widths.first_stage % HEADS:
        raise corrupt(path, "it holds a MAT generator of a width that cannot work.")
    return widths


def shape_of(state: StateDict, key: str) -> tuple[int, ...]:
    """Of the tensor called `key`; () if there is none."""
    return tuple(state[key].shape) if key in state else ()
