"""ZITS with random weights: the four TorchScript files that IOPaint downloads."""

from pathlib import Path
from typing import TYPE_CHECKING

from tests.standins import save_scripted

if TYPE_CHECKING:
    from torch import nn

ZITS_FILES = (
    "zits-wireframe-0717.pt",
    "zits-edge-line-0717.pt",
    "zits-structure-upsample-0717.pt",
    "zits-inpaint-0717.pt",
)
"""As published, in the order of configs/models/zits.yaml."""


def random_zits(seed: int = 0) -> "list[nn.Module]":
    """Wireframe, edge and line, upsampling and painting network. Equal seeds, equal weights."""
    import torch

    from tests.standins.zits_networks import EdgeLine, Inpaint, Upsample, Wireframe

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = [Wireframe(), EdgeLine(), Upsample(), Inpaint()]
    return [network.eval().requires_grad_(False) for network in networks]


def write_zits_torchscript(folder: Path, *, seed: int = 0) -> list[Path]:
    """The files ZITS_FILES in `folder`; returns their paths."""
    paths = [folder / name for name in ZITS_FILES]
    for network, path in zip(random_zits(seed), paths, strict=True):
        save_scripted(network, path)
    return paths
