"""Stable Diffusion 1.5 and XL, inpainting (9 channels) and plain (4 channels) checkpoints."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image as Pictures
from torch import Tensor, nn

from deployments.models import prompts
from deployments.models.adapter_shelf import AdapterShelf
from deployments.models.latent_previews import preview
from deployments.models.lora_views import with_lora
from deployments.models.samplers import count_steps, make_scheduler
from deployments.models.stable_diffusion_files import read_file
from deployments.models.stable_diffusion_folders import read_folder
from deployments.models.stable_diffusion_parts import TEXT_PARTS, Checkpoint, Plan
from inpaint.arrays import Image, Mask
from inpaint.diffusion import NO_ADAPTERS, Step
from inpaint.errors import ContentRefusedError, ModelError, WeightsMissingError
from inpaint.params import DiffusionParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

logger = logging.getLogger("ray.serve")

LCM_LORA = "lcm-lora"
SDXL_FULL_STRENGTH = 0.999
"""What IOPaint makes of 1 for SDXL: its inpainting model does badly from noise alone."""


class StableDiffusion:
    """One checkpoint, whose parts every request shares.

    A request's pipeline is a shell around them: VAE and UNet, a scheduler of its own, and prompts
    that are encoded already. So nothing that a request asks for can stay behind.

    Args:
        checkpoint: on the CPU; moved to where `options` say.
        options: of the family.
    """

    def __init__(self, checkpoint: Checkpoint, options: LoadOptions) -> None:
        self._checkpoint = checkpoint
        parts = checkpoint.parts
        self._unet, self._vae = parts["unet"], parts["vae"]
        self._dtype = self._unet.dtype
        self._device = options.device
        self._offloads = options.cpu_offload and options.device.startswith("cuda")
        if options.cpu_offload and not self._offloads:
            logger.info("cpu_offload does nothing device=%s", options.device)
        if options.low_mem:
            self._vae.enable_tiling()
            self._vae.enable_slicing()
        text_names = TEXT_PARTS[checkpoint.base]
        self._text = checkpoint.assemble(
            scheduler=parts["scheduler"], **{name: parts[name] for name in text_names}
        )
        self._text_rests_on_cpu = options.cpu_textencoder
        self._place()
        self._prompts = prompts.PromptCache(self._encode)
        self._shelf = AdapterShelf()

    @classmethod
    def load(
        cls,
        spec: ModelSpec,
        weights: Sequence[Path],
        options: LoadOptions,
        adapters: Mapping[str, Path] = NO_ADAPTERS,
    ) -> Self:
        """See DiffusionModel.load. The network is never asked for anything."""
        [path] = weights
        variant = spec.repository.variant if spec.repository else "fp16"
        plan = Plan.of(variant, options, adapters)
        checkpoint = read_folder(path, plan) if path.is_dir() else read_file(path, plan)
        logger.info(
            "checkpoint read file=%s base=%s channels=%d vae=%s safety_checker=%s",
            path.name,
            checkpoint.base,
            checkpoint.parts["unet"].config.in_channels,
            _vae_note(checkpoint, plan),
            checkpoint.parts.get("safety_checker") is not None,
        )
        return cls(checkpoint, options)

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
        """See DiffusionModel.paint. Reads no `example`."""
        strength = self._strength(params)
        pipeline = self._pipeline(params, adapters)
        count_steps(pipeline.scheduler, params.sd_steps, strength)
        arguments = self._picture_arguments(image, mask, params, adapters)

        def after_step(shell: Any, index: int, _: object, tensors: dict[str, Tensor]) -> Any:
            picture = preview(tensors["latents"], self._checkpoint.is_xl) if previews else None
            on_step(Step(index + 1, shell.num_timesteps, picture))
            return {}

        with self._running(pipeline):
            output = pipeline(
                height=image.shape[0],
                width=image.shape[1],
                num_inference_steps=params.sd_steps,
                guidance_scale=params.sd_guidance_scale,
                generator=draw_from(params.seed),
                output_type="np",
                callback_on_step_end=after_step,
                **arguments,
                **self._prompt_arguments(params),
            )
        if any(getattr(output, "nsfw_content_detected", None) or ()):
            raise ContentRefusedError(
                "The checkpoint's safety checker has flagged the result, so it is not sent; "
                "another prompt or seed may give one that passes."
            )
        return as_levels(output.images[0])

    def _strength(self, params: DiffusionParams) -> float:
        if self._checkpoint.is_xl and params.sd_strength == 1:
            return SDXL_FULL_STRENGTH
        return params.sd_strength

    def _pipeline(self, params: DiffusionParams, adapters: Mapping[str, Path]) -> Any:
        """The request's own pipeline."""
        own = self._checkpoint.parts
        checker = {
            name: own[name] for name in ("safety_checker", "feature_extractor") if name in own
        }
        unet = self._lora_unet(adapters) if params.sd_lcm_lora else self._unet
        pipeline = self._checkpoint.assemble(
            vae=self._vae, unet=unet, scheduler=own["scheduler"], **checker
        )
        sampler = "LCM" if params.sd_lcm_lora else params.sd_sampler
        # Set afterwards, as IOPaint does: the constructor amends the checkpoint's own scheduler
        # where its config is outdated, and would amend this one in another way.
        pipeline.scheduler = make_scheduler(sampler, own["scheduler"].config)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def _lora_unet(self, adapters: Mapping[str, Path]) -> nn.Module:
        path = adapters.get(LCM_LORA)
        if path is None:
            raise WeightsMissingError("sd_lcm_lora needs the LCM-LoRA, which is not on the server.")
        read = partial(with_lora, self._checkpoint.pipeline_class, self._unet)
        return self._shelf.get(path, read)

    def _picture_arguments(
        self, image: Image, mask: Mask, params: DiffusionParams, adapters: Mapping[str, Path]
    ) -> dict[str, Any]:
        """What the request's pipeline is told of the picture."""
        return {
            "image": Pictures.fromarray(image),
            "mask_image": Pictures.fromarray(mask),
            "strength": self._strength(params),
        }

    def _prompt_arguments(self, params: DiffusionParams) -> dict[str, Tensor | None]:
        # Both are texts and never None, as in IOPaint: for None, SDXL would take zeros.
        is_guided = params.sd_guidance_scale > 1
        negative = self._prompts[params.negative_prompt] if is_guided else None
        return prompts.as_arguments(self._prompts[params.prompt], negative)

    def _encode(self, text: str) -> prompts.Prompt:
        offloads = self._offloads and not self._text_rests_on_cpu
        with offloaded(self._text, self._device) if offloads else nullcontext():
            return prompts.encode(text, self._text, self._dtype)

    def _place(self) -> None:
        """Move every part to where it rests."""
        for name, part in self._checkpoint.parts.items():
            if isinstance(part, nn.Module) and not self._offloads:
                is_text = name in TEXT_PARTS[self._checkpoint.base]
                part.to("cpu" if is_text and self._text_rests_on_cpu else self._device)

    @contextmanager
    def _running(self, pipeline: Any) -> Iterator[None]:
        """Leave the shared parts as they were, whatever ends the run."""
        try:
            with offloaded(pipeline, self._device) if self._offloads else nullcontext():
                yield
        finally:
            # diffusers makes SDXL's VAE float32 around each use; an error in it leaves that so.
            self._vae.to(self._dtype)


@contextmanager
def offloaded(pipeline: Any, device: str) -> Iterator[None]:
    """Keep each part of `pipeline` on `device` only while it computes."""
    pipeline.enable_model_cpu_offload(device=device)
    try:
        yield
    finally:
        pipeline.remove_all_hooks()
        pipeline.to("cpu", silence_dtype_warnings=True)


def draw_from(seed: int | None) -> torch.Generator:
    """The generator of one request. On the CPU: so a seed means the same noise on every device."""
    generator = torch.Generator("cpu")
    if seed is None:
        generator.seed()
        return generator
    return generator.manual_seed(seed)


def as_levels(picture: "np.typing.NDArray[np.float32]") -> Image:
    """(H, W, 3) float 0..1 as uint8, rounded as IOPaint does.

    Raises:
        ModelError: there are values that are no numbers; a black picture would be no answer.
    """
    if not np.isfinite(picture).all():
        raise ModelError(
            "The model's result overflowed in half precision; the operator can set "
            "`precision: fp32` or bf16 for its family."
        )
    return (picture * 255).round().astype(np.uint8)


def _vae_note(checkpoint: Checkpoint, plan: Plan) -> str:
    """Which VAE there is, for the log."""
    if plan.vae is not None:
        return "adapter"
    is_upcast = plan.dtype == torch.float16 and checkpoint.parts["vae"].config.force_upcast
    return "own, in float32 while it runs" if is_upcast else "own"
