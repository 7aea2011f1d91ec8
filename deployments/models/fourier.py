"""Fast Fourier convolutions (Chi et al., NeurIPS 2020), of which LaMa and FcF are built.

Features travel as two streams: the local one sees 3x3 pixels at a time, the global one sees the
whole picture, since its convolution works on the 2-D spectrum. Attribute names are those of the
published checkpoints.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

GLOBAL_SHARE = 0.75
"""Part of the channels that belongs to the global stream (LaMa's paper, section 3; FcF's too)."""


class Recipe(NamedTuple):
    """What the networks differ in."""

    norm: Callable[[int], nn.Module]
    """Makes the layer behind each convolution; nn.Identity for none."""
    has_local_unit: bool
    """Whether the global path transforms the quarters of the picture too."""


class Channels(NamedTuple):
    """How many channels each stream has; 0 is a stream that does not exist."""

    local: int
    wide: int = 0

    @classmethod
    def split(cls, total: int) -> "Channels":
        """Divide `total` by GLOBAL_SHARE."""
        wide = int(total * GLOBAL_SHARE)
        return cls(total - wide, wide)


class Streams(NamedTuple):
    """Features between two layers: (N, C, H, W) each, equal in N, H and W."""

    local: Tensor
    wide: Tensor | None = None


class FourierUnit(nn.Module):
    """A 1x1 convolution over the spectrum, so that each output pixel depends on all inputs.

    Real and imaginary parts are neighbouring channels: 2k and 2k + 1 belong to channel k.
    """

    def __init__(self, channels: int, recipe: Recipe) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.bn = recipe.norm(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same; the size may be odd."""
        spectrum = torch.fft.rfftn(x, dim=(-2, -1), norm="ortho")
        parts = torch.stack((spectrum.real, spectrum.imag), dim=2).flatten(1, 2)
        parts = torch.relu(self.bn(self.conv_layer(parts))).unflatten(1, (-1, 2))
        spectrum = torch.complex(parts[:, :, 0], parts[:, :, 1])
        return torch.fft.irfftn(spectrum, s=x.shape[-2:], dim=(-2, -1), norm="ortho")


class SpectralTransform(nn.Module):
    """The global-to-global path: FourierUnit with a skip, at half the channels.

    The local unit (section 3.3 of the paper on these convolutions) is a second FourierUnit. It
    sees the four quarters of the picture as channels, a quarter of the channels from each, and
    its answer, of a quarter's size, is added to every quarter.
    """

    def __init__(self, channels: int, recipe: Recipe) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Sequential(
            nn.Conv2d(channels, half, 1, bias=False), recipe.norm(half), nn.ReLU(inplace=True)
        )
        self.fu = FourierUnit(half, recipe)
        self.lfu = FourierUnit(half, recipe) if recipe.has_local_unit else None
        self.conv2 = nn.Conv2d(half, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same; with a local unit H and W are even, and C is 8 k."""
        x = self.conv1(x)
        y = x + self.fu(x)
        if self.lfu is not None:
            y = y + self.lfu(quarters(x[:, : x.shape[1] // 4])).repeat(1, 1, 2, 2)
        return self.conv2(y)


def quarters(x: Tensor) -> Tensor:
    """(N, C, 2 H, 2 W) to (N, 4 C, H, W): top left, bottom left, top right, bottom right."""
    halves = torch.cat(x.chunk(2, dim=2), dim=1)
    return torch.cat(halves.chunk(2, dim=3), dim=1)


class FFC(nn.Module):
    """Fast Fourier convolution: one path from each stream that exists to each that shall."""

    def __init__(
        self,
        inputs: Channels,
        outputs: Channels,
        make_conv: Callable[[int, int], nn.Module],
        recipe: Recipe,
    ) -> None:
        super().__init__()
        self.convl2l = make_conv(inputs.local, outputs.local)
        self.convl2g = make_conv(inputs.local, outputs.wide) if outputs.wide else None
        self.convg2l = make_conv(inputs.wide, outputs.local) if inputs.wide else None
        self.convg2g = SpectralTransform(inputs.wide, recipe) if inputs.wide else None

    def forward(self, x: Streams) -> Streams:
        """Sum the paths that end in each stream."""
        local = self.convl2l(x.local)
        wide = self.convl2g(x.local) if self.convl2g is not None else None
        if self.convg2l is not None and self.convg2g is not None:
            local = local + self.convg2l(x.wide)
            wide = wide + self.convg2g(x.wide)
        return Streams(local, wide)


class FFCLayer(nn.Module):
    """FFC, then the recipe's norm and ReLU on each stream."""

    def __init__(
        self,
        inputs: Channels,
        outputs: Channels,
        make_conv: Callable[[int, int], nn.Module],
        recipe: Recipe,
    ) -> None:
        super().__init__()
        self.ffc = FFC(inputs, outputs, make_conv, recipe)
        self.bn_l = recipe.norm(outputs.local)
        self.bn_g = recipe.norm(outputs.wide) if outputs.wide else None

    def forward(self, x: Streams) -> Streams:
        """Streams of `inputs` channels to streams of `outputs` channels."""
        local, wide = self.ffc(x)
        if self.bn_g is not None:
            wide = torch.relu_(self.bn_g(wide))
        return Streams(torch.relu_(self.bn_l(local)), wide)


class FFCBlock(nn.Module):
    """Two FFC layers and a skip on each stream."""

    def __init__(self, channels: Channels, recipe: Recipe) -> None:
        super().__init__()
        self.conv1 = FFCLayer(channels, channels, conv3x3, recipe)
        self.conv2 = FFCLayer(channels, channels, conv3x3, recipe)

    def forward(self, x: Streams) -> Streams:
        """Streams to streams of the same shapes; both exist."""
        y = self.conv2(self.conv1(x))
        return Streams(x.local + y.local, x.wide + y.wide)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A convolution that keeps the size; reflects 1 px, so its input needs 2 px a side."""
    return nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False, padding_mode="reflect")
