"""AnyText's control network: a ControlNet that is told glyphs, places and the known picture.

After Tuo et al. 2023 (arXiv 2311.03054), section 3.2. What it is told does not change from step to
step, so it is made once a picture; the rest is diffusers' ControlNet.
"""

from itertools import pairwise
from typing import Any

import torch
from diffusers import ControlNetModel
from torch import Tensor, nn

GLYPH_CHANNELS = (1, 8, 8, 16, 16, 32, 32, 96, 96, 256)
"""Of glyphs at twice the picture's size, down to the latents' in four halvings."""
PLACE_CHANNELS = (1, 8, 8, 16, 16, 32, 32, 64)
LATENT_CHANNELS = 4


class GlyphHint(nn.Module):
    """What is to be written where, as the control network's first layer takes it.

    Args:
        width: of that layer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.glyph_block = _halvings(GLYPH_CHANNELS)
        self.position_block = _halvings(PLACE_CHANNELS)
        told = GLYPH_CHANNELS[-1] + PLACE_CHANNELS[-1] + LATENT_CHANNELS
        self.fuse_block = nn.Conv2d(told, width, 3, padding=1)

    def forward(self, glyphs: Tensor, places: Tensor, known: Tensor) -> Tensor:
        """Make the hint.

        Args:
            glyphs: (N, 1, 2 H, 2 W), 1 is ink.
            places: (N, 1, H, W), 1 is where a line stands.
            known: (N, 4, H/8, W/8): latents of the picture with its hole grey.

        Returns:
            (N, width, H/8, W/8)
        """
        told = [self.glyph_block(glyphs), self.position_block(places), known]
        hint: Tensor = self.fuse_block(torch.cat(told, dim=1))
        return hint


def _halvings(channels: tuple[int, ...]) -> nn.Sequential:
    """Convolutions, of which every second one halves the sides."""
    layers: list[nn.Module] = []
    for number, (given, wanted) in enumerate(pairwise(channels)):
        stride = 2 if number and number % 2 == 0 else 1
        layers += [nn.Conv2d(given, wanted, 3, stride, padding=1), nn.SiLU()]
    return nn.Sequential(*layers)


def control_network(config: dict[str, Any]) -> ControlNetModel:
    """A ControlNet for the UNet of `config` whose condition is a hint that is made already."""
    names = (
        *("in_channels", "block_out_channels", "layers_per_block", "down_block_types"),
        *("attention_head_dim", "cross_attention_dim"),
    )
    network = ControlNetModel(**{name: config[name] for name in names})
    network.controlnet_cond_embedding = nn.Identity()
    return network
