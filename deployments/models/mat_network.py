"""mat's network: a mask-aware transformer and a U-net behind it (Li et al., CVPR 2022).

    z -> mapping -> w
    picture, mask, w -> first stage -> coarse picture
    coarse picture, picture, mask, w -> encoder -> decoder -> picture

The second stage is a U-net whose decoder is modulated by w and by a summary of the encoder's last
features. Attribute names are those of the published checkpoint, so that it loads with strict=True.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deployments.models.mat_decoder import COLOURS, DecoderBlock, StyledConv, ToRGB
from deployments.models.mat_first_stage import SQUARE, FirstStage, keep_map
from deployments.models.stylegan_ops import (
    Conv2dLayer,
    FullyConnected,
    MappingNetwork,
    channels_last,
)

STYLE_HALVINGS = 3
"""Convolutions that sum the encoder's last features up to a style."""

SMALLEST = 16
"""Side of the encoder's last features in training."""


@dataclass(frozen=True)
class MatWidths:
    """How many features the layers have; the defaults are those of the published network.

    `second_stage` begins at full size and ends at SMALLEST, so its length tells the picture's
    side in training.
    """

    first_stage: int = 180
    second_stage: tuple[int, ...] = (64, 128, 256, 512, 512, 512)
    z: int = 512
    w: int = 512
    summary: int = 1024

    @property
    def resolution(self) -> int:
        """The picture's side in training."""
        return SMALLEST << (len(self.second_stage) - 1)


def sides(widths: MatWidths) -> list[int]:
    """Side of the second stage's features at each size, from the largest."""
    return [widths.resolution >> step for step in range(len(widths.second_stage))]


class EncoderBlock(nn.Module):
    """Two convolutions; the first takes up the picture, or halves the size."""

    def __init__(self, inputs: int, outputs: int, *, first: bool) -> None:
        super().__init__()
        size, down = (1, 1) if first else (3, 2)
        self.conv0 = Conv2dLayer(inputs, outputs, size, "lrelu", down=down)
        self.conv1 = Conv2dLayer(outputs, outputs, 3, "lrelu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / down, W / down)."""
        return self.conv1(self.conv0(x))


class Encoder(nn.Module):
    """Halves the picture down to SMALLEST, and keeps the features of every size."""

    def __init__(self, widths: MatWidths) -> None:
        super().__init__()
        inputs = 2 * COLOURS + 1
        for side, outputs in zip(sides(widths), widths.second_stage, strict=True):
            block = EncoderBlock(inputs, outputs, first=side == widths.resolution)
            self.add_module(f"EncConv_Block_{side}x{side}", block)
            inputs = outputs

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 7, H, W) to the features of each size, from the largest."""
        features = []
        for block in self.children():
            x = block(x)
            features.append(x)
        return features


class ToStyle(nn.Module):
    """Sums features up to a style."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(Conv2dLayer(inputs, inputs, 3, "lrelu", down=2) for _ in range(STYLE_HALVINGS))
        )
        self.fc = FullyConnected(inputs, outputs, "lrelu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs)."""
        return self.fc(self.conv(x).mean((2, 3)))


class FirstDecoderBlock(nn.Module):
    """The decoder's step at the smallest size: like DecoderBlock, but nothing is doubled yet."""

    def __init__(self, width: int, style: int) -> None:
        super().__init__()
        self.conv0 = Conv2dLayer(width, width, 3, "lrelu")
        self.conv1 = StyledConv(width, width, style)
        self.toRGB = ToRGB(width, style)

    def forward(self, x: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """(N, width, H, W) and (N, style), to features and picture of the same size."""
        x = self.conv1(self.conv0(x).add_(x), style)
        return x, self.toRGB(x, style, None)


class Decoder(nn.Module):
    """Doubles the encoder's last features up to the full size, and paints."""

    def __init__(self, widths: MatWidths, style: int) -> None:
        super().__init__()
        inputs = widths.second_stage[-1]
        self.add_module(f"Dec_{SMALLEST}x{SMALLEST}", FirstDecoderBlock(inputs, style))
        larger = list(zip(sides(widths), widths.second_stage, strict=True))[-2::-1]
        for side, outputs in larger:
            self.add_module(f"Dec_{side}x{side}", DecoderBlock(inputs, outputs, style))
            inputs = outputs

    def forward(self, features: list[Tensor], style: Tensor) -> Tensor:
        """The encoder's features, from the largest, and (N, style); to (N, 3, H, W)."""
        first, *others = self.children()
        *larger, smallest = features
        x, picture = first(smallest, style)
        for block, skip in zip(others, reversed(larger), strict=True):
            x, picture = block(x, picture, style, skip)
        return picture


class Synthesis(nn.Module):
    """Both stages."""

    def __init__(self, widths: MatWidths) -> None:
        super().__init__()
        smallest = widths.second_stage[-1]
        self.first_stage = FirstStage(widths.resolution, widths.first_stage, widths.w)
        self.enc = Encoder(widths)
        self.to_square = FullyConnected(widths.w, SQUARE**2, "lrelu")
        self.to_style = ToStyle(smallest, widths.summary)
        self.dec = Decoder(widths, widths.w + widths.summary)

    def forward(self, image: Tensor, valid: Tensor, w: Tensor, random: torch.Generator) -> Tensor:
        """See MatNetwork.forward; `w` is (N, w)."""
        known = image * valid
        hole = 1 - valid
        coarse = known + hole * self.first_stage(known, valid, w, random)
        features = self.enc(channels_last(torch.cat((valid - 0.5, coarse, known), dim=1)))
        features[-1] = self._dropped(features[-1], w, random)
        style = torch.cat((w, self.to_style(features[-1])), dim=1)
        return known + hole * self.dec(features, style)

    def _dropped(self, x: Tensor, w: Tensor, random: torch.Generator) -> Tensor:
        """(N, C, H, W) with half of its values replaced by a square that w alone decides."""
        square = self.to_square(w).unflatten(1, (1, SQUARE, SQUARE))
        square = nn.functional.interpolate(square, x.shape[2:], mode="bilinear")
        keep = keep_map(tuple(x.shape[1:]), x, random)
        return channels_last(torch.where(keep, x, square))


class MatNetwork(nn.Module):
    """The generator."""

    def __init__(self, widths: MatWidths | None = None) -> None:
        super().__init__()
        widths = widths or MatWidths()
        self.synthesis = Synthesis(widths)
        self.mapping = MappingNetwork(widths.z, widths.w)

    def forward(self, image: Tensor, valid: Tensor, z: Tensor, random: torch.Generator) -> Tensor:
        """Repaint `image` where `valid` is 0.

        Args:
            image: (N, 3, H, W) float RGB, -1..1; H and W are multiples of the side in training.
            valid: (N, 1, H, W) of 1, known, and 0, hole; in the dtype of `image`.
            z: (1, z) normal noise, the same for all pictures.
            random: source of the features that are dropped in each stage; the same for all
                pictures. Advanced by two draws.

        Returns:
            (N, 3, H, W), about -1..1, and equal to `image` where `valid` is 1.
        """
        w = self.mapping(z).expand(len(image), -1)
        return self.synthesis(image, valid, w, random)
