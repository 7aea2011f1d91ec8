"""Manga's two networks with random weights, as IOPaint's TorchScript files."""

from pathlib import Path
from typing import TYPE_CHECKING

from tests.standins import save_traced

if TYPE_CHECKING:
    from torch import nn

PAINTER_FILE, LINER_FILE = "manga_inpaintor.jit", "erika.jit"

WIDTH = 8
"""Channels; the published painter has up to 256, the line extraction up to 384."""


def random_painter(seed: int = 0) -> "nn.Module":
    """Takes (grey, lines, mask, noise, ones), answers grey; each of the five changes the answer.

    Sides must be multiples of 16 from 32: as in the published network an eighth of them is
    reflected by 2 px.
    """
    import torch
    from torch import Tensor, nn

    class Painter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(5, WIDTH, 8, stride=8)
            self.middle = nn.Sequential(
                nn.ReflectionPad2d(2), nn.Conv2d(WIDTH, WIDTH, 3, dilation=2), nn.ReLU()
            )
            self.up = nn.Upsample(scale_factor=8, mode="bilinear")
            self.last = nn.Conv2d(WIDTH + 5, 1, 3, padding=1)

        def forward(
            self, grey: Tensor, lines: Tensor, mask: Tensor, noise: Tensor, ones: Tensor
        ) -> Tensor:
            kept = 1 - mask
            planes = torch.cat((grey * kept, lines * kept, mask, 0.3 * noise, ones), dim=1)
            features = self.up(self.middle(self.down(planes)))
            painted: Tensor = 4 * self.last(torch.cat((features, planes), dim=1))
            return painted.clamp(-1, 1)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Painter().eval().requires_grad_(False)


def random_liner(seed: int = 0) -> "nn.Module":
    """Takes grey 0..255 and answers lines on that scale, beyond both of its ends too."""
    import torch
    from torch import Tensor, nn

    class Liner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Conv2d(1, WIDTH, 3, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(WIDTH, 1, 3, padding=1),
            )

        def forward(self, grey: Tensor) -> Tensor:
            lines: Tensor = self.layers(grey)
            return 5 * lines + 150

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        return Liner().eval().requires_grad_(False)


def write_manga(folder: Path, seed: int = 0) -> None:
    """Both files under their published names."""
    import torch

    plane = torch.rand(1, 1, 64, 48)
    save_traced(random_painter(seed), (plane,) * 5, folder / PAINTER_FILE)
    save_traced(random_liner(seed), (255 * plane,), folder / LINER_FILE)
