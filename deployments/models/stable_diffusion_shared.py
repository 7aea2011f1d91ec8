"""What all requests of a Stable Diffusion checkpoint share, and how a pipeline is put around it."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from deployments.models import prompts
from deployments.models.adapter_shelf import AdapterShelf
from deployments.models.diffusion_runs import offloaded
from deployments.models.lora_views import with_lora
from deployments.models.samplers import make_scheduler
from deployments.models.stable_diffusion_parts import TEXT_PARTS, Checkpoint
from inpaint.errors import WeightsMissingError
from inpaint.params import DiffusionParams
from inpaint.protocols import LoadOptions

logger = logging.getLogger("ray.serve")

LCM_LORA = "lcm-lora"
SDXL_FULL_STRENGTH = 0.999
"""What IOPaint makes of 1 for SDXL: its inpainting model does badly from noise alone."""


class Movable(Protocol):
    """A network, or what is made of some."""

    def to(self, device: Any, /) -> Any: ...


Network = TypeVar("Network", bound=Movable)


class Shared:
    """A checkpoint's parts where they rest, its encoded prompts, and its adapters' networks.

    Args:
        checkpoint: on the CPU; moved to where `options` say.
        options: of the family.
    """

    def __init__(self, checkpoint: Checkpoint, options: LoadOptions) -> None:
        self.checkpoint = checkpoint
        parts = checkpoint.parts
        self.unet, self.vae = parts["unet"], parts["vae"]
        self.dtype = self.unet.dtype
        self.shelf = AdapterShelf()
        self.prompts = prompts.PromptCache(self.encode)
        self._device = options.device
        self._offloads = options.cpu_offload and options.device.startswith("cuda")
        if options.cpu_offload and not self._offloads:
            logger.info("cpu_offload does nothing device=%s", options.device)
        if options.low_mem:
            self.vae.enable_tiling()
            self.vae.enable_slicing()
        text_names = TEXT_PARTS[checkpoint.base]
        self._text = checkpoint.assemble(
            scheduler=parts["scheduler"], **{name: parts[name] for name in text_names}
        )
        self._text_rests_on_cpu = options.cpu_textencoder
        for name, part in parts.items():
            if isinstance(part, nn.Module):
                self.place(part, is_text=name in text_names)

    def place(self, network: Network, *, is_text: bool = False) -> Network:
        """Move a network to where its kind rests; with offloading that is the CPU."""
        rests_on_cpu = self._offloads or (is_text and self._text_rests_on_cpu)
        if not rests_on_cpu:
            network.to(self._device)
        return network

    @contextmanager
    def computing(self, network: Movable) -> Iterator[None]:
        """Keep a placed network, of no pipeline, on the device while it computes."""
        if not self._offloads:
            yield
            return
        try:
            network.to(self._device)
            yield
        finally:
            network.to("cpu")

    def denoiser(self, params: DiffusionParams, adapters: Mapping[str, Path]) -> Any:
        """The UNet, or a view of it with the LoRA that `params` ask for.

        Raises:
            WeightsMissingError: the LoRA is not among `adapters`.
        """
        if not params.sd_lcm_lora:
            return self.unet
        path = adapters.get(LCM_LORA)
        if path is None:
            raise WeightsMissingError("sd_lcm_lora needs the LCM-LoRA, which is not on the server.")
        read = partial(with_lora, self.checkpoint.pipeline_class, self.unet)
        return self.shelf.get(path, read)

    def pipeline(self, params: DiffusionParams, kind: Any = None, **parts: Any) -> Any:
        """A shell around shared parts, with a scheduler of its own.

        Args:
            params: name the sampler.
            kind: class of diffusers; None for the inpainting one of the checkpoint's base.
            parts: "unet", and what `kind` takes besides the parts of a checkpoint.
        """
        own = self.checkpoint.parts
        checker = {
            name: own[name] for name in ("safety_checker", "feature_extractor") if name in own
        }
        pipeline = self.checkpoint.assemble(
            kind, vae=self.vae, scheduler=own["scheduler"], **checker, **parts
        )
        sampler = "LCM" if params.sd_lcm_lora else params.sd_sampler
        # Set afterwards, as IOPaint does: the constructor amends the checkpoint's own scheduler
        # where its config is outdated, and would amend this one in another way.
        pipeline.scheduler = make_scheduler(sampler, own["scheduler"].config)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def strength(self, params: DiffusionParams) -> float:
        """Of a pipeline that starts from the picture."""
        if self.checkpoint.is_xl and params.sd_strength == 1:
            return SDXL_FULL_STRENGTH
        return params.sd_strength

    def prompt_arguments(self, params: DiffusionParams) -> dict[str, Tensor | None]:
        """The request's prompts, encoded, as a pipeline's call takes them."""
        # Both are texts and never None, as in IOPaint: for None, SDXL would take zeros.
        is_guided = params.sd_guidance_scale > 1
        negative = self.prompts[params.negative_prompt] if is_guided else None
        return prompts.as_arguments(self.prompts[params.prompt], negative)

    def encode(self, text: str, pipeline: Any = None) -> prompts.Prompt:
        """Encode `text` for the UNet.

        Args:
            text: see `prompts.encode`.
            pipeline: whose text encoders, placed as text, are taken; None for the checkpoint's.
        """
        encoders = pipeline or self._text
        offloads = self._offloads and not self._text_rests_on_cpu
        with offloaded(encoders, self._device) if offloads else nullcontext():
            return prompts.encode(text, encoders, self.dtype)

    @contextmanager
    def running(self, pipeline: Any) -> Iterator[None]:
        """Parts of `pipeline` come to the device as they compute; leaves them as they were."""
        try:
            with offloaded(pipeline, self._device) if self._offloads else nullcontext():
                yield
        finally:
            # diffusers makes SDXL's VAE float32 around each use; an error in it leaves that so.
            self.vae.to(self.dtype)
