"""FourierUnit without complex numbers, for engines that have no Fourier transform of their own.

A discrete Fourier transform is a product with the matrix exp(-2 pi i j k / n). Real and imaginary
part are taken apart, and the matrices are made from the input's size while the network runs, so
that one exported graph serves pictures of every size.
"""

import copy
import math

import torch
from torch import Tensor, nn

from deployments.models.fourier import FourierUnit


class MatrixFourierUnit(nn.Module):
    """The same function as the FourierUnit that it is made from, whose weights it shares."""

    def __init__(self, unit: FourierUnit) -> None:
        super().__init__()
        self.conv_layer = unit.conv_layer
        self.bn = unit.bn

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same; the size may be odd."""
        height, width = x.shape[2], x.shape[3]
        half = width // 2 + 1  # the other columns of a real picture's spectrum mirror these
        row_cos, row_sin = waves(width, half)
        column_cos, column_sin = waves(height, height)
        scale = 1 / torch.sqrt(torch.tensor(height * width).float())  # "ortho", in each direction
        column_cos, column_sin = column_cos * scale, column_sin * scale

        real, imaginary = x @ row_cos, -(x @ row_sin)
        real, imaginary = (
            column_cos @ real + column_sin @ imaginary,
            column_cos @ imaginary - column_sin @ real,
        )
        parts = torch.stack((real, imaginary), dim=2).flatten(1, 2)
        parts = torch.relu(self.bn(self.conv_layer(parts))).unflatten(1, (-1, 2))
        real, imaginary = parts[:, :, 0], parts[:, :, 1]
        real, imaginary = (
            column_cos @ real - column_sin @ imaginary,
            column_cos @ imaginary + column_sin @ real,
        )
        # Every column counts for its mirror image too, but for the first and, of an even width,
        # the last, which mirror themselves.
        column = torch.arange(half)
        weight = torch.where((column == 0) | (2 * column == width), 1.0, 2.0)[:, None]
        return real @ (weight * row_cos.T) - imaginary @ (weight * row_sin.T)


def waves(length: int, frequencies: int) -> tuple[Tensor, Tensor]:
    """The cosines and sines of 2 pi j k / length, (length, frequencies) float32 each.

    The product j k is reduced modulo `length` as an integer: as a float it would lose the angle.
    """
    steps = torch.arange(length)[:, None] * torch.arange(frequencies)[None, :] % length
    angles = steps.float() * (2 * math.pi / length)
    return torch.cos(angles), torch.sin(angles)


def without_fft(network: nn.Module) -> nn.Module:
    """A copy of `network` in which matrix products stand for every FourierUnit."""
    exportable = copy.deepcopy(network)
    for module in list(exportable.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, FourierUnit):
                setattr(module, name, MatrixFourierUnit(child))
    return exportable
