"""FcF with random weights, as IOPaint's state dict."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deployments.models.fcf_network import FcfNetwork

FILE = "places_512_G.pth"

WIDTH = 12
"""Fast Fourier blocks take three quarters of their channels, halve them and quarter the half."""

BIAS_SPREAD = 0.3
"""Of what starts as zeros, so that each tensor can show its effect."""

COLOUR_CONTRAST = 0.15

FOURIER_GROWTH = 4
"""About how much larger a fast Fourier block makes its features: four skips pass it by."""


def narrow(side: int = 512, width: int = WIDTH) -> dict[int, int]:
    """Channels at every size of a network for pictures of `side` px: `width` at all of them."""
    return dict.fromkeys((2**step for step in range(2, side.bit_length())), width)


def random_fcf(widths: Mapping[int, int] | None = None, seed: int = 0) -> "FcfNetwork":
    """FcF's architecture, in evaluation mode; without `widths` that of `narrow()`.

    Equal arguments, equal weights.
    """
    import torch

    from deployments.models.fcf_network import FcfNetwork

    widths = widths or narrow()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = FcfNetwork(widths)
        for name, tensor in network.state_dict().items():
            if name.endswith((".bias", ".noise_strength", ".noise_const", ".w_avg")):
                tensor.add_(torch.randn_like(tensor) * BIAS_SPREAD)
        for px in sorted(widths)[1:]:
            growth = FOURIER_GROWTH ** max(0, px.bit_length() - 5)
            colours = network.synthesis.get_parameter(f"b{px}.torgb.weight")
            colours.mul_(COLOUR_CONTRAST / growth)
    return network.eval().requires_grad_(False)


def write_fcf(folder: Path, widths: Mapping[int, int] | None = None, seed: int = 0) -> Path:
    """The file under its published name, a plain torch.save of the tensors. Returns its path."""
    import torch

    path = folder / FILE
    torch.save(random_fcf(widths, seed).state_dict(), path)
    return path
