"""Paint by Example (Yang et al. 2022): a hole is painted with what an example picture shows."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import Any, Self

from diffusers.pipelines.deprecated.paint_by_example import (
    PaintByExampleImageEncoder,
    PaintByExamplePipeline,
)
from PIL import Image as Pictures
from torch import Tensor, nn
from transformers import CLIPImageProcessor, CLIPVisionConfig

from deployments.models.checkpoints import corrupt
from deployments.models.diffusion_runs import draw_from, offloaded, picture_of
from deployments.models.latent_previews import preview
from deployments.models.samplers import count_steps, make_scheduler
from deployments.models.stable_diffusion_folders import (
    class_of,
    read_json,
    read_network,
    read_part,
    read_scheduler,
)
from deployments.models.stable_diffusion_parts import Plan, reading
from deployments.weights.hub_files import MODEL_INDEX
from inpaint.arrays import Image, Mask
from inpaint.diffusion import NO_ADAPTERS, Step
from inpaint.errors import ParamsError
from inpaint.examples import EXAMPLE
from inpaint.params import DiffusionParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

logger = logging.getLogger("ray.serve")

ENCODER = "PaintByExampleImageEncoder"
"""What the index calls it, of a library that it calls paint_by_example: diffusers has it elsewhere
by now, and finds it no more by that index."""
CHANNELS = 9
"""Latents, the picture around the hole, and the mask."""

Parts = dict[str, Any]


class PaintByExample:
    """The network of Fantasy-Studio/Paint-by-Example.

    Reads the steps, the sampler, the guidance and the seed. There is no prompt: the example is
    what the hole should show. A request's pipeline is a shell around the parts, with a scheduler
    of its own.

    Args:
        parts: by the names of the pipeline's constructor, on the CPU; moved to where `options`
            say.
        options: of the family.
    """

    def __init__(self, parts: Parts, options: LoadOptions) -> None:
        self._parts = parts
        self._device = options.device
        self._offloads = options.cpu_offload and options.device.startswith("cuda")
        if options.low_mem:
            parts["vae"].enable_tiling()
            parts["vae"].enable_slicing()
        for part in parts.values():
            if isinstance(part, nn.Module) and not self._offloads:
                part.to(self._device)

    @classmethod
    def load(
        cls,
        spec: ModelSpec,
        weights: Sequence[Path],
        options: LoadOptions,
        adapters: Mapping[str, Path] = NO_ADAPTERS,
    ) -> Self:
        """See DiffusionModel.load. Takes a folder, and no adapters."""
        [path] = weights
        variant = spec.repository.variant if spec.repository else None
        parts = read_parts(path, Plan.of(variant, options, NO_ADAPTERS))
        logger.info(
            "paint by example read folder=%s safety_checker=%s",
            path.name,
            parts["safety_checker"] is not None,
        )
        return cls(parts, options)

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
        """See DiffusionModel.paint. Reads no adapters; ParamsError where there is no `example`."""
        if example is None:
            raise ParamsError(
                f"The model paints what an example shows: send a picture as '{EXAMPLE}'."
            )
        pipeline = self._pipeline(params)
        total = count_steps(pipeline.scheduler, params.sd_steps, strength=1)
        numbers = count(1)  # the pipeline's own begin at 0 or at 1, as the sampler goes

        def after_step(_: int, __: object, latents: Tensor) -> None:
            picture = preview(latents, is_xl=False) if previews else None
            on_step(Step(next(numbers), total, picture))

        with offloaded(pipeline, self._device) if self._offloads else nullcontext():
            output = pipeline(
                example_image=Pictures.fromarray(example),
                image=Pictures.fromarray(image),
                mask_image=Pictures.fromarray(mask),
                num_inference_steps=params.sd_steps,
                guidance_scale=params.sd_guidance_scale,
                generator=draw_from(params.seed),
                output_type="np",
                callback=after_step,
            )
        return picture_of(output)

    def _pipeline(self, params: DiffusionParams) -> Any:
        own = self._parts["scheduler"]
        has_checker = self._parts["safety_checker"] is not None
        pipeline = PaintByExamplePipeline(**self._parts, requires_safety_checker=has_checker)
        pipeline.scheduler = make_scheduler(params.sd_sampler, own.config)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline


def read_parts(root: Path, plan: Plan) -> Parts:
    """All parts of the pipeline in `root`, a folder in diffusers' layout.

    Part by part, as Stable Diffusion's: see stable_diffusion_folders.

    Raises:
        WeightsCorruptError: a part is missing or damaged, or the index names another class for it.
    """
    index = read_json(root / MODEL_INDEX, root)
    has_checker = plan.with_checker and class_of(index, "safety_checker") is not None
    with reading(root / "feature_extractor", root):
        extractor = CLIPImageProcessor.from_pretrained(
            root / "feature_extractor", local_files_only=True
        )
    parts = {
        "scheduler": read_scheduler(root),
        "unet": read_part(root, "unet", index, plan),
        "vae": read_part(root, "vae", index, plan),
        "image_encoder": _read_encoder(root, index, plan),
        "feature_extractor": extractor,
        "safety_checker": read_part(root, "safety_checker", index, plan) if has_checker else None,
    }
    _check_fit(root, parts)
    return parts


def _read_encoder(root: Path, index: dict[str, Any], plan: Plan) -> Any:
    if (name := class_of(index, "image_encoder")) != ENCODER:
        raise corrupt(root / MODEL_INDEX, f"its image_encoder is {name}, and must be {ENCODER}.")
    folder = root / "image_encoder"
    read_json(folder / "config.json", root)
    with reading(folder / "config.json", root):
        # Asked itself, the class takes CLIP's config of both towers, whose defaults are others.
        config = CLIPVisionConfig.from_pretrained(folder, local_files_only=True)
    return read_network(
        PaintByExampleImageEncoder, folder, root, plan.variant, plan.dtype, config=config
    )


def _check_fit(root: Path, parts: Parts) -> None:
    """Raise WeightsCorruptError where the UNet is not the encoder's."""
    unet, encoder = parts["unet"].config, parts["image_encoder"]
    if unet.in_channels != CHANNELS:
        trouble = f"it has {unet.in_channels} input channels, and must have {CHANNELS}"
    elif unet.cross_attention_dim != encoder.proj_size:
        trouble = f"it reads {unet.cross_attention_dim} values, and the encoder {encoder.proj_size}"
    else:
        return
    raise corrupt(root / "unet" / "config.json", f"{trouble}.", root)
