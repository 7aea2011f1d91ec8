"""Latent diffusion with random weights: the three TorchScript files that IOPaint downloads."""

from pathlib import Path
from typing import TYPE_CHECKING

from tests.standins import save_scripted

if TYPE_CHECKING:
    from torch import nn

LDM_FILES = ("cond_stage_model_encode.pt", "cond_stage_model_decode.pt", "diffusion.pt")
"""As published, in the order of configs/models/ldm.yaml."""


def random_ldm(seed: int = 0) -> "list[nn.Module]":
    """Encoder, decoder and diffusion network. Equal seeds, equal weights; any batch and size."""
    import torch

    from tests.standins.ldm_networks import Decoder, Diffusion, Encoder

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = [Encoder(), Decoder(), Diffusion()]
    return [network.eval().requires_grad_(False) for network in networks]


def write_ldm_torchscript(folder: Path, *, seed: int = 0) -> list[Path]:
    """The files LDM_FILES in `folder`; returns their paths."""
    paths = [folder / name for name in LDM_FILES]
    for network, path in zip(random_ldm(seed), paths, strict=True):
        save_scripted(network, path)
    return paths
