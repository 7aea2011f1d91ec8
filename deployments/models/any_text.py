"""AnyText: writes lines of text into pictures (Tuo et al. 2023, arXiv 2311.03054)."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deployments.models import ldm_samplers
from deployments.models.any_text_embeddings import encode_texts
from deployments.models.any_text_files import AnyTextParts, read_any_text
from deployments.models.any_text_glyphs import check_line, draw_in_place, draw_strip
from deployments.models.any_text_places import Places, find_places
from deployments.models.any_text_prompts import Caption, check_outside, read_caption
from deployments.models.diffusion_runs import as_levels, draw_from
from deployments.models.latent_previews import preview
from deployments.models.stable_diffusion_parts import Plan
from inpaint.arrays import Image, Mask
from inpaint.diffusion import NO_ADAPTERS, Step
from inpaint.params import DiffusionParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

logger = logging.getLogger("ray.serve")

LATENT_CHANNELS = 4


class AnyText:
    """Stable Diffusion 1.5 with a control network that is told what to write where.

    Whatever a request brings is passed from function to function; nothing of it is kept.

    Args:
        parts: on the CPU; moved to where `options` say.
        options: of the family.
    """

    def __init__(self, parts: AnyTextParts, options: LoadOptions) -> None:
        self._parts = parts
        self._device = options.device
        self._dtype = parts.unet.dtype
        self._offloads = options.cpu_offload and options.device.startswith("cuda")
        if options.cpu_offload and not self._offloads:
            logger.info("cpu_offload does nothing device=%s", options.device)
        if options.low_mem:
            parts.vae.enable_tiling()
            parts.vae.enable_slicing()
        self._text_rests_on_cpu = options.cpu_textencoder
        if not self._offloads:
            for network in (parts.unet, parts.control, parts.hint, parts.vae):
                network.to(self._device)
            if not self._text_rests_on_cpu:
                parts.text_encoder.to(self._device)
                parts.line_encoder.to(self._device)

    @classmethod
    def load(
        cls,
        spec: ModelSpec,
        weights: Sequence[Path],
        options: LoadOptions,
        adapters: Mapping[str, Path] = NO_ADAPTERS,
    ) -> Self:
        """See DiffusionModel.load. Of the adapters it reads "tokenizer"."""
        [path] = weights
        variant = spec.repository.variant if spec.repository else "fp16"
        parts = read_any_text(path, Plan.of(variant, options, adapters))
        logger.info("checkpoint read file=%s precision=%s", path.name, options.precision)
        return cls(parts, options)

    @torch.no_grad()
    def paint(
        self,
        image: Image,
        mask: Mask,
        params: DiffusionParams,
        adapters: Mapping[str, Path],
        on_step: Callable[[Step], None],
        previews: bool = False,
        example: Image | None = None,
    ) -> Image:
        """See DiffusionModel.paint. Reads no `adapters` and no `example`.

        The quoted lines of the prompt are written into the separate parts of the mask, one into
        each in reading order; parts beyond those are only painted over. `sd_strength` is how much
        the network keeps to the glyphs. The sampler is DDIM.

        Raises:
            ParamsError: the prompt quotes no line, or lines that cannot be written.
        """
        caption = read_caption(params.prompt)
        check_outside("negative_prompt", params.negative_prompt)
        for number, line in enumerate(caption.lines, start=1):
            check_line(self._parts.font, number, line)
        places = find_places(mask, len(caption.lines))
        texts = self._texts(caption, params)
        draw = draw_from(params.seed)
        hint = self._hint(image, caption, places, draw)
        latents = self._denoise(texts, hint, params, draw, on_step, previews)
        return self._decode(latents)

    def _texts(self, caption: Caption, params: DiffusionParams) -> Tensor:
        """(1 or 2, 77, width): the prompt, and before it the negative one where it counts."""
        parts = self._parts
        is_guided = params.sd_guidance_scale > 1
        texts = [params.negative_prompt, caption.text] if is_guided else [caption.text]
        strips = np.stack([draw_strip(parts.font, line) for line in caption.lines])
        with self._working(parts.text_encoder, parts.line_encoder, is_text=True):
            device = parts.text_encoder.device
            lines = parts.line_encoder(torch.from_numpy(strips).to(device, torch.float32))
            encoded = encode_texts(texts, lines, parts.tokenizer, parts.text_encoder)
        return encoded.to(self._device, self._dtype)

    def _hint(
        self, image: Image, caption: Caption, places: Places, draw: torch.Generator
    ) -> Tensor:
        """(1, width, H/8, W/8): all that the control network is told."""
        parts = self._parts
        size = (image.shape[0], image.shape[1])
        lines = zip(caption.lines, places.of_lines, strict=True)
        glyphs = [
            draw_in_place(parts.font, number, line, place.outline, size)
            for number, (line, place) in enumerate(lines, start=1)
        ]
        areas = [place.area > 0 for place in places.of_lines]
        known = self._encode(image, places.hole, draw)
        with self._working(parts.hint):
            hint: Tensor = parts.hint(self._summed(glyphs), self._summed(areas), known)
        return hint

    def _summed(self, pictures: Sequence[NDArray[np.bool_]]) -> Tensor:
        """(1, 1, H, W): how many of the pictures have something there."""
        total = np.sum(pictures, axis=0, dtype=np.float32)
        return torch.from_numpy(total).to(self._device, self._dtype)[None, None]

    def _encode(self, image: Image, hole: Mask, draw: torch.Generator) -> Tensor:
        """(1, 4, H/8, W/8): latents of the picture with its hole grey."""
        vae = self._parts.vae
        # From 1 on, as in the network's training: so only the hole is what it is.
        values = image.clip(1, 255).astype(np.float32) / 127.5 - 1
        known = values * (hole == 0)[..., None]
        pixels = torch.from_numpy(np.ascontiguousarray(known.transpose(2, 0, 1)))[None]
        with self._working(vae):
            spread = vae.encode(pixels.to(self._device, self._dtype)).latent_dist
            noise = torch.randn(spread.mean.shape, generator=draw).to(self._device)
            latents: Tensor = (spread.mean + spread.std * noise) * vae.config.scaling_factor
        return latents.to(self._dtype)

    def _denoise(
        self,
        texts: Tensor,
        hint: Tensor,
        params: DiffusionParams,
        draw: torch.Generator,
        on_step: Callable[[Step], None],
        previews: bool,
    ) -> Tensor:
        """(1, 4, H/8, W/8) float32."""
        noise = torch.randn((1, LATENT_CHANNELS, *hint.shape[2:]), generator=draw)
        latents = noise.to(self._device)
        steps = ldm_samplers.plan_steps(params.sd_steps, ldm_samplers.SD15_BETAS)
        with self._working(self._parts.unet, self._parts.control):
            for number, step in enumerate(steps, start=1):
                predicted = self._predict(latents, step.timestep, texts, hint, params)
                latents = ldm_samplers.advance(latents, predicted, step)
                picture = preview(latents, is_xl=False) if previews else None
                on_step(Step(number, len(steps), picture))
        return latents

    def _predict(
        self, latents: Tensor, timestep: int, texts: Tensor, hint: Tensor, params: DiffusionParams
    ) -> Tensor:
        """The noise in `latents`, guided where there are two texts."""
        count = len(texts)
        given = latents.to(self._dtype).expand(count, -1, -1, -1)
        down, middle = self._parts.control(
            given,
            timestep,
            texts,
            controlnet_cond=hint.expand(count, -1, -1, -1),
            conditioning_scale=params.sd_strength,
            return_dict=False,
        )
        noise = self._parts.unet(
            given,
            timestep,
            texts,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            return_dict=False,
        )[0].float()
        if count == 1:
            return noise
        without, with_prompt = noise.chunk(2)
        return without + params.sd_guidance_scale * (with_prompt - without)

    def _decode(self, latents: Tensor) -> Image:
        vae = self._parts.vae
        with self._working(vae):
            scaled = (latents / vae.config.scaling_factor).to(self._dtype)
            decoded = vae.decode(scaled).sample[0].float().cpu().permute(1, 2, 0).numpy()
        levels = (decoded * 127.5 + 127.5).clip(0, 255)
        return as_levels(np.floor(levels) / 255)  # cut off, where other pipelines round

    @contextmanager
    def _working(self, *networks: nn.Module, is_text: bool = False) -> Iterator[None]:
        """Have `networks` on the device while they compute, and where they rest afterwards."""
        moves = self._offloads and not (is_text and self._text_rests_on_cpu)
        try:
            for network in networks if moves else ():
                network.to(self._device)
            yield
        finally:
            for network in networks if moves else ():
                network.to("cpu")
