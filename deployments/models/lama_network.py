"""LaMa's network: a generator of fast Fourier convolutions (Suvorov et al., WACV 2022).

    image, mask -> 7x7 -> 3 x (3x3, half size) -> N x block -> 3 x (twice the size) -> 7x7 -> image

Behind the last halving, features travel as two streams (see fourier.py). Attribute names are those
of the published checkpoints, so that these load with strict=True.
"""

import torch
from torch import Tensor, nn

from deployments.models.fourier import Channels, FFCBlock, FFCLayer, Recipe, Streams

HALVINGS = 3
"""Of the published configuration; the bottleneck is an eighth of the picture's size."""

RECIPE = Recipe(norm=nn.BatchNorm2d, has_local_unit=False)
"""The published configuration leaves out the paper's local Fourier unit."""


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
            FFCLayer(Channels(4), stages[0], conv7x7, RECIPE),
            *(FFCLayer(stages[i], stages[i + 1], conv3x3_halving, RECIPE) for i in range(HALVINGS)),
            *(FFCBlock(bottleneck, RECIPE) for _ in range(blocks)),
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
