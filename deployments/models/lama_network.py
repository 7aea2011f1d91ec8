"""LaMa's network: a generator of fast Fourier convolutions (Suvorov et al., WACV 2022).

    image, mask -> 7x7 -> 3 x (3x3, half size) -> N x block -> 3 x (twice the size) -> 7x7 -> image

Behind the last halving, features travel as two streams: the local one sees 3x3 pixels at a time,
the global one sees the whole picture, since its convolution works on the 2-D spectrum. Attribute
names are those of the published checkpoints, so that these load with strict=True.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

HALVINGS = 3
"""Of the published configuration; the bottleneck is an eighth of the picture's size."""

GLOBAL_SHARE = 0.75
"""Part of the bottleneck's channels that belongs to the global stream (paper, section 3)."""


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

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same; the size may be odd."""
        spectrum = torch.fft.rfftn(x, dim=(-2, -1), norm="ortho")
        parts = torch.stack((spectrum.real, spectrum.imag), dim=2).flatten(1, 2)
        parts = torch.relu(self.bn(self.conv_layer(parts))).unflatten(1, (-1, 2))
        spectrum = torch.complex(parts[:, :, 0], parts[:, :, 1])
        return torch.fft.irfftn(spectrum, s=x.shape[-2:], dim=(-2, -1), norm="ortho")


class SpectralTransform(nn.Module):
    """The global-to-global path: FourierUnit with a skip, at half the channels.

    Without the paper's local Fourier unit, which the published configuration leaves out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Sequential(
            nn.Conv2d(channels, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True)
        )
        self.fu = FourierUnit(half)
        self.conv2 = nn.Conv2d(half, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        x = self.conv1(x)
        return self.conv2(x + self.fu(x))


class FFC(nn.Module):
    """Fast Fourier convolution: one path from each stream that exists to each that shall."""

    def __init__(
        self, inputs: Channels, outputs: Channels, make_conv: Callable[[int, int], nn.Module]
    ) -> None:
        super().__init__()
        self.convl2l = make_conv(inputs.local, outputs.local)
        self.convl2g = make_conv(inputs.local, outputs.wide) if outputs.wide else None
        self.convg2l = make_conv(inputs.wide, outputs.local) if inputs.wide else None
        self.convg2g = SpectralTransform(inputs.wide) if inputs.wide else None

    def forward(self, x: Streams) -> Streams:
        """Sum the paths that end in each stream."""
        local = self.convl2l(x.local)
        wide = self.convl2g(x.local) if self.convl2g is not None else None
        if self.convg2l is not None and self.convg2g is not None:
            local = local + self.convg2l(x.wide)
            wide = wide + self.convg2g(x.wide)
        return Streams(local, wide)


class FFCLayer(nn.Module):
    """FFC, then batch norm and ReLU on each stream."""

    def __init__(
        self, inputs: Channels, outputs: Channels, make_conv: Callable[[int, int], nn.Module]
    ) -> None:
        super().__init__()
        self.ffc = FFC(inputs, outputs, make_conv)
        self.bn_l = nn.BatchNorm2d(outputs.local)
        self.bn_g = nn.BatchNorm2d(outputs.wide) if outputs.wide else None

    def forward(self, x: Streams) -> Streams:
        """Streams of `inputs` channels to streams of `outputs` channels."""
        local, wide = self.ffc(x)
        if self.bn_g is not None:
            wide = torch.relu_(self.bn_g(wide))
        return Streams(torch.relu_(self.bn_l(local)), wide)


class FFCBlock(nn.Module):
    """Two FFC layers and a skip on each stream."""

    def __init__(self, channels: Channels) -> None:
        super().__init__()
        self.conv1 = FFCLayer(channels, channels, conv3x3)
        self.conv2 = FFCLayer(channels, channels, conv3x3)

    def forward(self, x: Streams) -> Streams:
        """Streams to streams of the same shapes; both exist."""
        y = self.conv2(self.conv1(x))
        return Streams(x.local + y.local, x.wide + y.wide)


class ToStreams(nn.Module):
    """Hands a plain tensor on as the local stream."""

    def forward(self, x: Tensor) -> Streams:
        """Pad by 3 for the 7x7 convolution that follows."""
        return Streams(nn.functional.pad(x, (3, 3, 3, 3), mode="reflect"))


class FromStreams(nn.Module):
    """Puts both streams into one tensor, local channels first."""

    def forward(self, x: Streams) -> Tensor:
        """(N, local + wide, H, W)."""
        return torch.cat([stream for stream in x if stream is not None], dim=1)


def conv7x7(inputs: int, outputs: int) -> nn.Conv2d:
    """The first convolution; its input is padded already."""
    return nn.Conv2d(inputs, outputs, 7, bias=False)


def conv3x3_halving(inputs: int, outputs: int) -> nn.Conv2d:
    """A convolution that halves height and width."""
    return nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False, padding_mode="reflect")


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A convolution of the bottleneck; reflects 1 px, so its input needs 2 px a side."""
    return nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False, padding_mode="reflect")


def doubling(inputs: int) -> list[nn.Module]:
    """Layers that double height and width and halve the channels."""
    outputs = inputs // 2
    return [
        nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


class LamaNetwork(nn.Module):
    """Masks the picture, predicts it whole, and keeps the prediction inside the hole.

    Args:
        ngf: channels at full size; the published network has 64, and 8 times as many in the
            bottleneck (its cap of 1024 never applies).
        blocks: FFC blocks in the bottleneck.
    """

    def __init__(self, ngf: int = 64, blocks: int = 18) -> None:
        super().__init__()
        widths = [ngf * 2**step for step in range(HALVINGS + 1)]
        bottleneck = Channels.split(widths[-1])
        stages = [*map(Channels, widths[:-1]), bottleneck]
        self.model = nn.Sequential(
            ToStreams(),
            FFCLayer(Channels(4), stages[0], conv7x7),
            *(FFCLayer(stages[i], stages[i + 1], conv3x3_halving) for i in range(HALVINGS)),
            *(FFCBlock(bottleneck) for _ in range(blocks)),
            FromStreams(),
            *(layer for width in reversed(widths[1:]) for layer in doubling(width)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(ngf, 3, 7),
            nn.Sigmoid(),
        )

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Repaint `image` where `mask` is 1.

        Args:
            image: (N, 3, H, W) float RGB, 0..1; H and W are multiples of 8 and at least 16.
            mask: (N, 1, H, W) of 0 and 1, any number type.

        Returns:
            (N, 3, H, W) float RGB, 0..1, equal to `image` where `mask` is 0.
        """
        known = image * (1 - mask)
        predicted = self.model(torch.cat((known, mask), dim=1))
        return mask * predicted + (1 - mask) * image
