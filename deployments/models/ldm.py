"""LDM: latent diffusion for inpainting (CompVis), without a prompt, at any picture size."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from deployments.models.checkpoints import is_tensor, read_probed_torchscript
from deployments.models.ldm_samplers import (
    EMBEDDING_DIM,
    denoise_ddim,
    denoise_plms,
    embed_timestep,
    plan_steps,
)
from inpaint.arrays import Images, Masks
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

Coder = Callable[[Tensor], Tensor]
"""(N, 3, H, W) float RGB -1..1 to (N, 3, H/4, W/4) latents, or back."""

Denoiser = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Latents (N, 3, h, w), embedded timestep (N, 256), known parts (N, 4, h, w), to the noise."""

SAMPLERS = {"ddim": denoise_ddim, "plms": denoise_plms}
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

LATENT_CHANNELS = 3
SHRINK = 4
"""Pixels for each latent, along a side."""

HOLE_LEVEL = 128
"""From this mask value on a pixel is a hole: 0.5 of 255, rounded up."""

PROBE_PX = 32
"""The smallest side that the runner gives the networks."""


class Ldm:
    """IOPaint's three TorchScript files: encoder, decoder, and the network that finds the noise."""

    def __init__(
        self,
        encode: Coder,
        decode: Coder,
        denoise: Denoiser,
        default_seed: int,
        options: LoadOptions,
    ) -> None:
        self._encode = encode
        self._decode = decode
        self._denoise = denoise
        self._default_seed = default_seed
        self._device = options.device
        self._precision = options.precision

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        """See InpaintModel.load. `weights` are encoder, decoder and diffusion network."""
        picture = torch.zeros(1, 3, PROBE_PX, PROBE_PX)
        latents = torch.zeros(1, LATENT_CHANNELS, PROBE_PX // SHRINK, PROBE_PX // SHRINK)
        known = torch.cat([latents, latents[:, :1]], dim=1)
        embedded = torch.zeros(1, EMBEDDING_DIM)
        encoder, decoder, diffusion = weights
        networks = [
            read_probed_torchscript(
                encoder, "LDM's encoder", lambda network: is_tensor(network(picture), latents.shape)
            ),
            read_probed_torchscript(
                decoder, "LDM's decoder", lambda network: is_tensor(network(latents), picture.shape)
            ),
            read_probed_torchscript(
                diffusion,
                "LDM's diffusion network",
                lambda network: is_tensor(network(latents, embedded, known), latents.shape),
            ),
        ]
        encode, decode, denoise = (
            network.to(options.device, DTYPES[options.precision]) for network in networks
        )
        return cls(encode, decode, denoise, spec.default_seed or 0, options)

    @torch.inference_mode()
    def forward(self, images: Images, masks: Masks, params: EraseParams) -> Images:
        """See InpaintModel.forward. Every image starts from the noise it would have alone."""
        seed = self._default_seed if params.seed is None else params.seed
        # Scaled by numpy, and in its memory order, as in IOPaint: see Lama.forward.
        scaled = torch.from_numpy(images.astype(np.float32) / 255).permute(0, 3, 1, 2)
        holes = torch.from_numpy((masks >= HOLE_LEVEL).astype(np.float32))[:, None]
        scaled, holes = scaled.to(self._device), holes.to(self._device)
        with self._autocast():
            latents = self._encode((1 - holes) * scaled * 2 - 1)
            known = torch.cat([latents, interpolate(holes * 2 - 1, size=latents.shape[2:])], dim=1)
            noise = draw_noise((1, LATENT_CHANNELS, *latents.shape[2:]), seed)
            denoised = SAMPLERS[params.ldm_sampler](
                partial(self._predict, known),
                noise.to(self._device).repeat(len(images), 1, 1, 1),
                plan_steps(params.ldm_steps),
            )
            painted = self._decode(denoised).float()
        levels = torch.clamp((painted + 1) / 2, 0, 1).permute(0, 2, 3, 1).cpu().numpy() * 255
        return levels.astype(np.uint8, order="C")  # truncated, as in IOPaint

    def _predict(self, known: Tensor, latents: Tensor, timestep: int) -> Tensor:
        embedded = embed_timestep(timestep, len(latents), latents.device)
        return self._denoise(latents, embedded, known)

    def _autocast(self) -> torch.autocast:
        """In half precision: inputs are cast to it, while sums and norms stay in float32."""
        return torch.autocast(
            torch.device(self._device).type,
            dtype=DTYPES[self._precision],
            enabled=self._precision != "fp32",
        )


def draw_noise(shape: Sequence[int], seed: int) -> Tensor:
    """Normal noise: what torch draws on the CPU after torch.manual_seed(seed), bit for bit.

    On the CPU for every device, so that a seed gives one picture everywhere; by a generator of
    its own, so that torch's stays as it is.
    """
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))
