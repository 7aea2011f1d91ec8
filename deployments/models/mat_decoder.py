"""The decoder block that both stages of mat paint with: StyleGAN2's, with a skip connection.

Attribute names are those of the published checkpoint.
"""

import math

import torch
from torch import Tensor, nn

from deployments.models.stylegan_ops import (
    ACTIVATION_GAINS,
    Activation,
    FullyConnected,
    activate,
    modulated_conv2d,
    setup_filter,
    upsample2d,
)

COLOURS = 3


class ModulatedConv(nn.Module):
    """A convolution whose input channels a style scales; it knows neither bias nor activation."""

    resample_filter: Tensor

    def __init__(
        self, inputs: int, outputs: int, size: int, style: int, *, up: int = 1, demodulate: bool
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, size, size))
        self.register_buffer("resample_filter", setup_filter())
        self.affine = FullyConnected(style, inputs, bias_init=1.0)
        self.up = up
        self.demodulate = demodulate
        self.weight_gain = 1 / math.sqrt(inputs * size**2)

    def forward(self, x: Tensor, style: Tensor, bias: Tensor, gain: float) -> Tensor:
        """`gain` times the convolution, plus `bias`.

        Args:
            x: (N, inputs, H, W).
            style: (N, style).
            bias: (outputs).
            gain: see modulated_conv2d.

        Returns:
            (N, outputs, up * H, up * W).
        """
        return modulated_conv2d(
            x,
            self.weight[0] * self.weight_gain,
            self.affine(style),
            bias,
            self.resample_filter,
            up=self.up,
            demodulate=self.demodulate,
            gain=gain,
        )


class StyledConv(nn.Module):
    """A modulated 3x3 convolution, bias and lrelu. Without StyleGAN2's noise: mat uses none."""

    def __init__(self, inputs: int, outputs: int, style: int, *, up: int = 1) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, style, up=up, demodulate=True)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.activation: Activation = "lrelu"

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N, style) to (N, outputs, up * H, up * W)."""
        gain = ACTIVATION_GAINS[self.activation]
        return activate(self.conv(x, style, self.bias * gain, gain), self.activation)


class ToRGB(nn.Module):
    """Reads colours off the features, and adds them to the picture of half the size."""

    resample_filter: Tensor

    def __init__(self, inputs: int, style: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(COLOURS))
        self.register_buffer("resample_filter", setup_filter())
        self.conv = ModulatedConv(inputs, COLOURS, 1, style, demodulate=False)

    def forward(self, x: Tensor, style: Tensor, smaller: Tensor | None) -> Tensor:
        """(N, inputs, H, W), (N, style), (N, 3, H / 2, W / 2) or None; to (N, 3, H, W)."""
        colours = self.conv(x, style, self.bias, 1.0)
        return colours if smaller is None else colours + upsample2d(smaller, self.resample_filter)


class DecoderBlock(nn.Module):
    """Doubles the size, adds the encoder's features of that size, and refines the picture."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.conv0 = StyledConv(inputs, outputs, style, up=2)
        self.conv1 = StyledConv(outputs, outputs, style)
        self.toRGB = ToRGB(outputs, style)

    def forward(
        self, x: Tensor, picture: Tensor | None, style: Tensor, skip: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One step of the decoder.

        Args:
            x: (N, inputs, H, W).
            picture: (N, 3, H, W), or None at the first step.
            style: (N, style).
            skip: (N, outputs, 2 * H, 2 * W), the encoder's features.

        Returns:
            Features (N, outputs, 2 * H, 2 * W) and the picture (N, 3, 2 * H, 2 * W).
        """
        x = self.conv0(x, style).add_(skip)
        x = self.conv1(x, style)
        return x, self.toRGB(x, style, picture)
