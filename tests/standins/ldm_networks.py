"""The networks of tests/standins/ldm.py. Small, but every input changes every output."""

import torch
from torch import Tensor, nn

WIDTH = 8


class Encoder(nn.Module):
    """(N, 3, H, W) -1..1 to (N, 3, H/4, W/4)."""

    def __init__(self) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(3, WIDTH, 4, stride=4)
        self.mix = nn.Conv2d(WIDTH, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        latents: Tensor = self.mix(torch.tanh(3 * self.shrink(image)))
        return latents


class Decoder(nn.Module):
    """(N, 3, h, w) to (N, 3, 4h, 4w), around -1..1 and beyond."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.grow = nn.ConvTranspose2d(WIDTH, 3, 4, stride=4)

    def forward(self, latents: Tensor) -> Tensor:
        image: Tensor = 3 * self.grow(torch.tanh(self.mix(latents)))
        return image


class Diffusion(nn.Module):
    """Latents, embedded timestep and known parts to noise.

    Mostly answers the latents themselves, as the right noise is nearly them where there is much
    of it: sampling stays in bounds at any number of steps.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(7, WIDTH, 3, padding=1)
        self.time = nn.Linear(256, WIDTH)
        self.out = nn.Conv2d(WIDTH, 3, 3, padding=1)

    def forward(self, latents: Tensor, embedded: Tensor, known: Tensor) -> Tensor:
        hidden = self.mix(torch.cat([latents, known], dim=1))
        hidden = torch.tanh(hidden + self.time(embedded)[:, :, None, None])
        noise: Tensor = latents + 0.3 * self.out(hidden)
        return noise
