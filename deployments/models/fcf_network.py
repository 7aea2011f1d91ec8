"""FcF's network: a StyleGAN2 co-modulated inpainter (Jain et al., WACV 2023).

    picture, mask -> encoder -> global vector and features of every size
    zeros -> mapping -> w; w and the global vector are the style
    style, features -> synthesis (fcf_synthesis.py) -> picture

The latent vector is zero, in training as here, so that nothing is random. Attribute names are
those of the published checkpoints, so that these load with strict=True.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from deployments.models.fcf_synthesis import CLAMP, Synthesis
from deployments.models.stylegan_ops import (
    Conv2dLayer,
    FullyConnected,
    MappingNetwork,
    setup_filter,
)

PUBLISHED_WIDTHS = {px: min(2**15 // px, 512) for px in (4, 8, 16, 32, 64, 128, 256, 512)}
"""Channels at each size of the published network for pictures of 512 px."""

TRUNCATION = 0.1
"""How far w leaves its mean (the default of the authors' demo, and IOPaint's value)."""

LONE_DEVIATION = math.sqrt(1e-8)
"""The minibatch standard deviation of a picture by itself: 0, kept off the root's pole by 1e-8."""


class EncoderBlock(nn.Module):
    """Features at one size, then at half of it. The largest takes the picture in, too."""

    def __init__(self, width: int, narrower: int, *, is_first: bool) -> None:
        super().__init__()
        self.fromrgb = Conv2dLayer(4, width, 1, "lrelu", clamp=CLAMP) if is_first else None
        self.conv0 = Conv2dLayer(width, width, 3, "lrelu", clamp=CLAMP)
        self.conv1 = Conv2dLayer(width, narrower, 3, "lrelu", down=2, clamp=CLAMP)
        self.register_buffer("resample_filter", setup_filter())  # published, of no use

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 4 or width, H, W) to (N, narrower, H / 2, W / 2) and (N, width, H, W) features."""
        if self.fromrgb is not None:
            x = self.fromrgb(x)
        features = self.conv0(x)
        return self.conv1(features), features


class EncoderEpilogue(nn.Module):
    """The 4x4 features, and one vector of the whole picture.

    In training, a channel with the standard deviation over the minibatch helped. Each picture is
    its own minibatch here, so that a batch gives what its pictures give one by one.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = Conv2dLayer(width + 1, width, 3, "lrelu", clamp=CLAMP)
        self.fc = FullyConnected(width * 4 * 4, 2 * width, "lrelu")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, width, 4, 4) to the (N, 2 * width) vector and (N, width, 4, 4) features."""
        deviation = x.new_full((len(x), 1, *x.shape[2:]), LONE_DEVIATION)
        features = self.conv(torch.cat((x, deviation), dim=1))
        return self.fc(features.flatten(1)), features


class Encoder(nn.ModuleDict):
    """Halves the picture down to 4x4."""

    def __init__(self, widths: Mapping[int, int]) -> None:
        """`widths` has the channels at 4 px, 8 px and so on to the picture's side."""
        *sizes, last = sorted(widths, reverse=True)
        blocks = {
            f"b{px}": EncoderBlock(widths[px], widths[px // 2], is_first=px == sizes[0])
            for px in sizes
        }
        super().__init__({**blocks, f"b{last}": EncoderEpilogue(widths[last])})

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, 4, H, W) to the (N, 2 * width) vector and features of every size, from 4x4 on."""
        features = []
        for block in self.values():
            x, kept = block(x)
            features.append(kept)
        return x, features[::-1]


class FcfMapping(MappingNetwork):
    """FcF's mapping network: two layers."""

    LAYERS = 2


class FcfNetwork(nn.Module):
    """Masks the picture and predicts it whole.

    Args:
        widths: channels at every size in pixels, from 4 to the picture's side, which is the
            only one that the network takes. That at 4 is the latent vector's length, too.
    """

    def __init__(self, widths: Mapping[int, int]) -> None:
        super().__init__()
        self.encoder = Encoder(widths)
        self.synthesis = Synthesis(widths)
        self.mapping = FcfMapping(widths[4], widths[4])

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Repaint `image` where `mask` is 1.

        Args:
            image: (N, 3, H, W) float RGB, -1..1; H and W are the network's side.
            mask: (N, 1, H, W) float of 0 and 1.

        Returns:
            (N, 3, H, W) float RGB of about -1..1, predicted everywhere.
        """
        code, features = self.encoder(torch.cat((0.5 - mask, image * (1 - mask)), dim=1))
        latent = code.new_zeros(len(code), code.shape[1] // 2)
        return self.synthesis(code, self.mapping(latent, TRUNCATION), features)
