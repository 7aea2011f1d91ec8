"""PowerPaint v1: Stable Diffusion 1.5's inpainting that has learnt words for five tasks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from torch import Tensor

from deployments.models import prompts
from deployments.models.power_paint_prompts import check_words, task_prompts
from deployments.models.stable_diffusion import StableDiffusion
from deployments.models.stable_diffusion_calls import Call, Order, picture_arguments
from inpaint.diffusion import NO_ADAPTERS
from inpaint.params import DiffusionParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec


class PowerPaint(StableDiffusion):
    """A checkpoint whose prompts are those of `powerpaint_task`, mixed by `fitting_degree`.

    Its networks are Stable Diffusion's, and it is run as that is. The vocabulary and the text
    encoder's embedding table hold the learnt words besides CLIP's own.
    """

    @classmethod
    def load(
        cls,
        spec: ModelSpec,
        weights: Sequence[Path],
        options: LoadOptions,
        adapters: Mapping[str, Path] = NO_ADAPTERS,
    ) -> Self:
        """See StableDiffusion.load.

        Raises:
            WeightsCorruptError: the checkpoint does not know PowerPaint's words.
        """
        model = super().load(spec, weights, options, adapters)
        parts = model._shared.checkpoint.parts
        check_words(parts["tokenizer"], parts["text_encoder"], weights[0])
        return model

    def _call(self, order: Order) -> Call:
        params, shared = order.params, self._shared
        strength = shared.strength(params)
        return Call(
            shared.pipeline(params, unet=shared.denoiser(params, order.adapters)),
            strength,
            lambda: picture_arguments(order, strength) | self._prompt_arguments(params),
        )

    def _prompt_arguments(self, params: DiffusionParams) -> dict[str, Tensor | None]:
        texts = (params.prompt, params.negative_prompt)
        return prompts.as_arguments(*task_prompts(self._shared.prompts, params, *texts))
