"""mat's first stage: convolutions around the transformer, which paint the hole coarsely.

    picture, mask -> 3 x half the size -> transformer at 64, 32, 16, 32, 64 -> 3 x twice the size

The sizes are those of training, for a picture of 512 pixels. Attribute names are those of the
published checkpoint.
"""

from typing import Any

import torch
from torch import Tensor, nn

from deployments.models.mat_decoder import COLOURS, DecoderBlock
from deployments.models.mat_transformer import (
    PartialConv,
    TransformerStage,
    to_features,
    to_tokens,
)
from deployments.models.stylegan_ops import Conv2dLayer, FullyConnected, channels_last

SIDE = 64
"""Rows and columns of tokens in training, where the transformer begins and ends."""

STAGES = (
    {"side": 64, "depth": 2, "window": 8},
    {"side": 32, "depth": 3, "window": 16, "down": 2},
    {"side": 16, "depth": 4, "window": 16, "down": 2},
    {"side": 32, "depth": 3, "window": 16, "up": 2},
    {"side": 64, "depth": 2, "window": 8, "up": 2},
)
"""The transformer's stages."""

SQUARE = 16
"""Rows and columns of the styles that stand in for dropped features."""

STYLE_HALVINGS = 4
"""Convolutions that sum the middle of the transformer up to a style."""


def keep_map(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """True or False with equal chance, (1, *shape), on `like`'s device.

    Drawn on the CPU for every device, and from floats: as torch's dropout draws them there.
    """
    coins = torch.empty(1, *shape).bernoulli_(0.5, generator=generator)
    return coins.to(like.device) != 0


class FirstStage(nn.Module):
    """Paints a picture in which only the hole is of use.

    Args:
        resolution: the picture's side in training; SIDE times a power of 2.
        width: features of every layer.
        w_width: features of w.
    """

    def __init__(self, resolution: int = 512, width: int = 180, w_width: int = 512) -> None:
        super().__init__()
        halvings = (resolution // SIDE).bit_length() - 1
        style = 3 * width
        self.conv_first = PartialConv(COLOURS + 1, width)
        self.enc_conv = nn.ModuleList(PartialConv(width, width, down=2) for _ in range(halvings))
        self.tran = nn.ModuleList(TransformerStage(width, **stage) for stage in STAGES)
        self.down_conv = nn.Sequential(
            *(Conv2dLayer(width, width, 3, "lrelu", down=2) for _ in range(STYLE_HALVINGS))
        )
        self.to_style = FullyConnected(width, 2 * width, "lrelu")
        self.ws_style = FullyConnected(w_width, width, "lrelu")
        self.to_square = FullyConnected(width, SQUARE**2, "lrelu")
        self.dec_conv = nn.ModuleList(DecoderBlock(width, width, style) for _ in range(halvings))

    def forward(self, known: Tensor, valid: Tensor, w: Tensor, random: torch.Generator) -> Tensor:
        """Paint.

        Args:
            known: (N, 3, H, W) RGB, -1..1, and 0 in the hole.
            valid: (N, 1, H, W), 1 where known, 0 in the hole.
            w: (N, w_width).
            random: source of the one keep_map that is drawn.

        Returns:
            (N, 3, H, W), about -1..1.
        """
        skips = []
        mask: Tensor | None = valid
        x, mask = self.conv_first(channels_last(torch.cat((valid - 0.5, known), dim=1)), mask)
        for halving in self.enc_conv:
            skips.append(x)
            x, mask = halving(x, mask)

        down0, down1, middle, up1, up0 = self.tran
        x, mask = down0(x, mask)
        fine = x
        x, mask = down1(x, mask)
        coarse = x
        x, _ = middle(x, None)
        noise = self.ws_style(w)
        x = self._dropped(x, noise, random)
        summary = self.down_conv(x).mean((2, 3))
        style = torch.cat((self.to_style(summary), noise), dim=1)
        x = up1(x, None)[0].add_(coarse)
        x = up0(x, None)[0].add_(fine)

        picture: Any = None
        for doubling in self.dec_conv:
            x, picture = doubling(x, picture, style, skips.pop())
        return picture

    def _dropped(self, x: Tensor, noise: Tensor, random: torch.Generator) -> Tensor:
        """(N, C, H, W) with half of its values replaced by the style's square, stretched to fit."""
        tokens = to_tokens(x)
        square = self.to_square(noise)[:, None]
        line = nn.functional.interpolate(square, tokens.shape[1], mode="linear").transpose(1, 2)
        keep = keep_map(tuple(tokens.shape[1:]), x, random)
        return to_features(torch.where(keep, tokens, line), (x.shape[2], x.shape[3]))
