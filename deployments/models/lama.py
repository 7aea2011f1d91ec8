"""LaMa: the erase model for large holes, fully convolutional, so any picture size will do."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from deployments.models.checkpoints import (
    StateDict,
    corrupt,
    fill_network,
    holds_torchscript,
    read_state_dict,
    read_torchscript,
)
from deployments.models.lama_network import LamaNetwork
from inpaint.arrays import Images, Masks
from inpaint.params import Params
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

Network = Callable[[Tensor, Tensor], Tensor]
"""(N, 3, H, W) float RGB 0..1 and (N, 1, H, W) int64 mask of 0 and 1, to (N, 3, H, W) 0..1."""

PREFIXES = ("generator.model.", "model.model.", "generator.", "model.", "")
"""Where checkpoints keep the generator: the authors', spandrel's, and cut-down ones."""

FIRST_WEIGHT = "1.ffc.convl2l.weight"
"""The first convolution, (ngf, 4, 7, 7), which tells the prefix and the width."""

PROBE_PX = 16
"""The smallest side that the network takes: its bottleneck reflects 1 px of 16 / 8."""


class Lama:
    """big-lama and its kin, from IOPaint's TorchScript or as a state dict for our own network.

    Every mask pixel above 0 is a hole, as in IOPaint: also the faint ones that RESIZE makes.
    """

    def __init__(self, network: Network, device: str) -> None:
        self._network = network
        self._device = device

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        """See InpaintModel.load. `spec.precisions` lets float32 only come here."""
        (path,) = weights
        load = load_torchscript if holds_torchscript(path) else load_state_dict
        return cls(load(path, options.device), options.device)

    @torch.inference_mode()
    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        """See InpaintModel.forward."""
        # Scaled by numpy as IOPaint does it: torch's division on CUDA differs in the last bit.
        # The permuted view keeps IOPaint's memory order too, on which convolutions run faster.
        scaled = torch.from_numpy(images.astype(np.float32) / 255).permute(0, 3, 1, 2)
        holes = torch.from_numpy((masks > 0).astype(np.int64))[:, None]
        painted = self._network(scaled.to(self._device), holes.to(self._device))
        levels = painted.permute(0, 2, 3, 1).cpu().numpy() * 255
        # Truncated, not rounded: IOPaint's pixels are the reference.
        return np.clip(levels, 0, 255).astype(np.uint8, order="C")


def load_torchscript(path: Path, device: str) -> Network:
    """IOPaint's big-lama.pt; a small forward proves that it takes and answers what LaMa does."""
    module = read_torchscript(path)
    image = torch.zeros(1, 3, PROBE_PX, PROBE_PX)
    mask = torch.ones(1, 1, PROBE_PX, PROBE_PX, dtype=torch.int64)
    try:
        with torch.inference_mode():
            answer = module(image, mask)
    except (RuntimeError, AttributeError) as error:
        raise corrupt(path, "as TorchScript it does not take LaMa's image and mask.") from error
    if not isinstance(answer, Tensor) or answer.shape != image.shape:
        raise corrupt(path, "as TorchScript it does not answer with LaMa's image.")
    return module.to(device)


def load_state_dict(path: Path, device: str) -> Network:
    """Our own network, as wide and as deep as the checkpoint has it."""
    state = generator_of(read_state_dict(path), path)
    first = state[f"model.{FIRST_WEIGHT}"]
    with torch.device("meta"):
        network = LamaNetwork(ngf=first.shape[0], blocks=count_blocks(state))
    fill_network(network, state, path, device)
    return network


def generator_of(state: StateDict, path: Path) -> StateDict:
    """The generator's tensors, named as in LamaNetwork; a discriminator's are left behind."""
    for prefix in PREFIXES:
        first = state.get(prefix + FIRST_WEIGHT)
        if first is not None and first.ndim == 4 and len(first):
            return {
                f"model.{key.removeprefix(prefix)}": value
                for key, value in state.items()
                if key.startswith(prefix)
            }
    raise corrupt(path, "it does not hold a LaMa generator.")


def count_blocks(state: StateDict) -> int:
    """How many FFC blocks the bottleneck has: only they have a `conv1` of their own."""
    return sum(key.endswith(".conv1.ffc.convl2l.weight") for key in state)
