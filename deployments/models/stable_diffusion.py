"""Stable Diffusion 1.5 and XL, inpainting (9 channels) and plain (4 channels) checkpoints."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from deployments.models.diffusion_runs import draw_from, picture_of
from deployments.models.latent_previews import preview
from deployments.models.samplers import count_steps
from deployments.models.stable_diffusion_calls import Call, Order
from deployments.models.stable_diffusion_files import read_file
from deployments.models.stable_diffusion_folders import read_folder
from deployments.models.stable_diffusion_parts import Checkpoint, Plan
from deployments.models.stable_diffusion_shared import Shared
from deployments.models.stable_diffusion_variants import call_of
from inpaint.arrays import Image, Mask
from inpaint.diffusion import NO_ADAPTERS, Step
from inpaint.params import DiffusionParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

logger = logging.getLogger("ray.serve")


class StableDiffusion:
    """One checkpoint, whose parts every request shares.

    A request's pipeline is a shell around them: VAE and UNet, a scheduler of its own, and prompts
    that are encoded already. So nothing that a request asks for can stay behind.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

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
        return cls(Shared(checkpoint, options))

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
        order = Order(image, mask, params, adapters, draw_from(params.seed))
        call = self._call(order)
        count_steps(call.pipeline.scheduler, params.sd_steps, call.strength)

        def after_step(shell: Any, index: int, _: object, tensors: dict[str, Tensor]) -> Any:
            is_xl = self._shared.checkpoint.is_xl
            picture = preview(tensors["latents"], is_xl) if previews else None
            on_step(Step(index + 1, shell.num_timesteps, picture))
            return {}

        with self._shared.running(call.pipeline):
            output = call.pipeline(
                height=image.shape[0],
                width=image.shape[1],
                num_inference_steps=params.sd_steps,
                guidance_scale=params.sd_guidance_scale,
                generator=order.generator,
                output_type="np",
                callback_on_step_end=after_step,
                **call.arguments(),
            )
        return picture_of(output)

    def _call(self, order: Order) -> Call:
        return call_of(self._shared, order)


def _vae_note(checkpoint: Checkpoint, plan: Plan) -> str:
    """Which VAE there is, for the log."""
    if plan.vae is not None:
        return "adapter"
    is_upcast = plan.dtype == torch.float16 and checkpoint.parts["vae"].config.force_upcast
    return "own, in float32 while it runs" if is_upcast else "own"
