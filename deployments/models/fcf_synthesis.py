"""FcF's decoder: a StyleGAN2 synthesis network with fast Fourier convolutions at its skips.

    style, 4x4 features -> foreword -> b8 -> b16 -> ... -> b512 -> picture

Each block doubles the size and adds its own colours to the picture so far. What joins the encoder's
features of a size to the decoder's is a fast Fourier block from 32 px on, a sum below.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from deployments.models.fourier import Channels, FFCBlock, Recipe, Streams
from deployments.models.stylegan_ops import (
    ACTIVATION_GAINS,
    FullyConnected,
    activate,
    modulated_conv2d,
    setup_filter,
    upsample2d,
)

CLAMP = 256.0
"""Activations are clamped to this on either side, as they were in training."""

FIRST_FOURIER_PX = 32
"""The smallest size that fast Fourier blocks work at (FcF's section 3.2)."""

RECIPE = Recipe(norm=nn.Identity, has_local_unit=True)
"""FcF normalises by its styles alone."""


class ModulatedConv(nn.Module):
    """A 3x3 convolution whose weights the style scales; doubles the size where `up` is 2.

    The published weights hold a bias and a noise picture with its strength too. The authors' code
    never adds the bias, and IOPaint's runs without the noise; neither has an effect here.
    """

    resample_filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        style: int,
        px: int,
        up: int = 1,
        clamp: float | None = CLAMP,
    ) -> None:
        super().__init__()
        self.affine = FullyConnected(style, inputs, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.zeros(px, px))
        self.register_buffer("resample_filter", setup_filter())
        self.up = up
        self.clamp = clamp

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N, style) to (N, outputs, up * H, up * W)."""
        x = modulated_conv2d(
            x,
            self.weight,
            self.affine(style),
            kernel=self.resample_filter,
            up=self.up,
            gain=ACTIVATION_GAINS["lrelu"],
            flip=self.up > 1,  # so the network was trained
        )
        return activate(x, "lrelu", self.clamp)


class ToRGB(nn.Module):
    """Features to colours, by a 1x1 convolution whose weights the style scales."""

    def __init__(self, inputs: int, style: int, clamp: float | None = CLAMP) -> None:
        super().__init__()
        self.affine = FullyConnected(style, inputs, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain = 1 / math.sqrt(inputs)
        self.clamp = clamp

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N, style) to (N, 3, H, W)."""
        styles = self.affine(style) * self.weight_gain
        colours = modulated_conv2d(x, self.weight, styles, self.bias, demodulate=False)
        return activate(colours, "linear", self.clamp)


class Foreword(nn.Module):
    """The 4x4 beginning: the encoder's global vector as features, plus its 4x4 features.

    Unlike the other sizes, this one is not clamped.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = FullyConnected(2 * width, width * 4 * 4, "lrelu")
        self.conv = ModulatedConv(width, width, 3 * width, 4, clamp=None)
        self.torgb = ToRGB(width, 3 * width, clamp=None)

    def forward(self, code: Tensor, skip: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """Features and picture.

        Args:
            code: (N, 2 * width), the encoder's global vector.
            skip: (N, width, 4, 4), the encoder's features.
            style: (N, 3 * width).

        Returns:
            (N, width, 4, 4) and (N, 3, 4, 4).
        """
        x = self.conv(self.fc(code).view_as(skip) + skip, style)
        return x, self.torgb(x, style)


class FourierSkip(nn.Module):
    """A fast Fourier block with two more skips around it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = Channels.split(channels)
        # The nesting is that of the published names: ffc_act.ffc_block.conv1, ...
        block = FFCBlock(self.channels, RECIPE)
        self.ffc_act = nn.ModuleDict({"ffc_block": block})

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same; H and W are even."""
        streams = Streams(*x.split(self.channels, dim=1))
        y = self.ffc_act["ffc_block"](streams)
        return torch.cat(y, dim=1).add_(x, alpha=2)


class SynthesisBlock(nn.Module):
    """Doubles the size, takes in the encoder's features of that size, refines the picture."""

    resample_filter: Tensor

    def __init__(self, inputs: int, outputs: int, style: int, px: int) -> None:
        super().__init__()
        self.conv0 = ModulatedConv(inputs, outputs, style, px, up=2)
        self.conv1 = ModulatedConv(outputs, outputs, style, px)
        self.torgb = ToRGB(outputs, style)
        self.ffc_skip = nn.Sequential(*[FourierSkip(outputs)] * (px >= FIRST_FOURIER_PX))
        self.register_buffer("resample_filter", setup_filter())

    def forward(
        self, x: Tensor, picture: Tensor, skip: Tensor, style: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Features and picture, both at twice the size.

        Args:
            x: (N, inputs, px / 2, px / 2).
            picture: (N, 3, px / 2, px / 2).
            skip: (N, outputs, px, px), the encoder's features.
            style: (N, style).

        Returns:
            (N, outputs, px, px) and (N, 3, px, px).
        """
        x = self.conv0(x, style)
        joined = self.ffc_skip(x + skip)
        x = self.conv1(x + joined if len(self.ffc_skip) else joined, style)
        return x, upsample2d(picture, self.resample_filter) + self.torgb(x, style)


class Synthesis(nn.ModuleDict):
    """The whole decoder. One style serves all layers: truncation and mapping give but one w."""

    def __init__(self, widths: Mapping[int, int]) -> None:
        """`widths` has the channels at 4 px, 8 px and so on to the picture's side."""
        first, *sizes = sorted(widths)
        style = 3 * widths[first]
        blocks = {f"b{px}": SynthesisBlock(widths[px // 2], widths[px], style, px) for px in sizes}
        super().__init__({"foreword": Foreword(widths[first]), **blocks})

    def forward(self, code: Tensor, w: Tensor, features: Sequence[Tensor]) -> Tensor:
        """Paint the picture.

        Args:
            code: (N, 2 * width), the encoder's global vector.
            w: (N, width), from the mapping network.
            features: the encoder's, from 4x4 on, each twice the size of the last.

        Returns:
            (N, 3, H, W) float RGB, of about -1..1; H and W are the last features'.
        """
        foreword, *blocks = self.values()
        style = torch.cat((w, code), dim=1)
        x, picture = foreword(code, features[0], style)
        for block, skip in zip(blocks, features[1:], strict=True):
            x, picture = block(x, picture, skip, style)
        return picture
