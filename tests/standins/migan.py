"""MI-GAN with random weights, as IOPaint's TorchScript file."""

from pathlib import Path
from typing import TYPE_CHECKING

from tests.standins import save_traced

if TYPE_CHECKING:
    from torch import nn

FILE = "migan_traced.pt"

SIDE = 512
"""The published network's maps of noise have this size, so it takes no other."""


def random_migan(seed: int = 0) -> "nn.Module":
    """Takes (N, 4, 512, 512), the last three channels RGB without the hole, and answers RGB."""
    import torch
    from torch import Tensor, nn

    class Generator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Sequential(nn.Conv2d(4, 8, 16, stride=16), nn.LeakyReLU(0.2))
            self.up = nn.Sequential(
                nn.Conv2d(8, 3, 3, padding=1), nn.Upsample(scale_factor=16, mode="nearest")
            )
            self.skip = nn.Conv2d(4, 3, 3, padding=1)
            self.noise = nn.Buffer(torch.randn(SIDE, SIDE))

        def forward(self, given: Tensor) -> Tensor:
            painted: Tensor = self.up(self.down(given)) + self.skip(given)
            return 2 * painted + 0.1 * self.noise

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Generator().eval().requires_grad_(False)


def write_migan(folder: Path, seed: int = 0) -> None:
    """The file under its published name."""
    import torch

    save_traced(random_migan(seed), (torch.rand(1, 4, SIDE, SIDE),), folder / FILE)
