"""A request of Stable Diffusion that a BrushNet guides, as IOPaint 1.6 makes it.

The picture's known part goes to the BrushNet, black where it is not known; the pipeline paints
the whole picture from noise. So the strength does not apply, and only checkpoints without a
channel for the mask can be guided.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
from torch.nn import functional

from deployments.models.brushnet import BrushNet
from deployments.models.brushnet_files import read_brushnet
from deployments.models.brushnet_unet import BrushNetUNet
from deployments.models.checkpoints import corrupt
from deployments.models.guide_fit import misfit
from deployments.models.stable_diffusion_calls import Call, Order
from deployments.models.stable_diffusion_shared import Shared
from inpaint.arrays import Image, Mask
from inpaint.errors import ParamsError, WeightsMissingError
from inpaint.specs import Base

ROLE = "brushnet"
LATENT_CHANNELS = 4

PLAIN_PIPELINES: dict[Base, Any] = {
    "sd15": StableDiffusionPipeline,
    "sdxl": StableDiffusionXLPipeline,
}
"""Text to image: the picture comes in through the BrushNet."""


def guided(shared: Shared, order: Order) -> Call:
    """The call with the BrushNet of the order.

    Raises:
        ParamsError: the checkpoint has channels for the mask.
        WeightsMissingError: there is no BrushNet among the order's adapters.
        WeightsCorruptError: it is damaged, or made for another base.
    """
    check_plain(shared, "enable_brushnet")
    path = order.adapters.get(ROLE)
    if path is None:
        raise WeightsMissingError("enable_brushnet needs a BrushNet, which is not on the server.")
    network = shared.shelf.get(path, lambda folder: read_for(shared, folder))
    weight = order.params.brushnet_conditioning_scale
    unet = BrushNetUNet(shared.denoiser(order.params, order.adapters), network, weight)
    return beside(shared, order, unet)


def beside(
    shared: Shared,
    order: Order,
    unet: BrushNetUNet,
    prompt: Callable[[], Tensor] | None = None,
) -> Call:
    """A call that paints from noise with both networks of `unet`.

    Args:
        shared: of the checkpoint.
        order: whose picture is the known one.
        unet: the order's own.
        prompt: encodes what the BrushNet is told instead of what the UNet is told, see
            `BrushNetUNet.prompt`; with guidance, what is not wanted comes first.
    """
    pipeline = shared.pipeline(order.params, PLAIN_PIPELINES[shared.checkpoint.base], unet=unet)

    def arguments() -> dict[str, Any]:
        # In this order the noise is drawn: the latents', then that of the known picture's code.
        latents = draw_latents(pipeline, order)
        unet.conditioning = encode_known(pipeline, order)
        if prompt is not None:  # a UNet that guides itself is told the last only
            unet.prompt = prompt()[-len(unet.conditioning) :].to(unet.conditioning)
        return {"latents": latents} | shared.prompt_arguments(order.params)

    return Call(pipeline, 1.0, arguments)


def check_plain(shared: Shared, option: str) -> None:
    """Raise ParamsError where the checkpoint's UNet sees the mask itself."""
    channels = shared.unet.config.in_channels
    if channels != LATENT_CHANNELS:
        raise ParamsError(
            f"{option} guides checkpoints of {LATENT_CHANNELS} channels, which were not trained "
            f"to inpaint; this one has {channels}: choose another model, or switch it off."
        )


def read_for(shared: Shared, folder: Path) -> BrushNet:
    """The BrushNet of `folder`, where the checkpoint's UNet rests.

    Raises:
        WeightsCorruptError: it is damaged, or made for another UNet.
    """
    network = read_brushnet(folder, shared.dtype)
    if reason := misfit(network, shared.unet):
        raise corrupt(folder, f"it is made for another base: {reason}.")
    return shared.place(network)


def draw_latents(pipeline: Any, order: Order) -> Tensor:
    """(1, 4, h, w) of standard noise, where and as what the pipeline computes."""
    height, width = (side // pipeline.vae_scale_factor for side in order.mask.shape)
    shape = (1, LATENT_CHANNELS, height, width)
    device, dtype = pipeline._execution_device, pipeline.unet.dtype
    return randn_tensor(shape, generator=order.generator, device=device, dtype=dtype)


@torch.no_grad()
def encode_known(pipeline: Any, order: Order) -> Tensor:
    """What `BrushNet.forward` calls conditioning, (B, 5, h, w).

    With guidance B is 2, and each has noise of its own: so it is in IOPaint, which encodes the
    picture twice.
    """
    vae, unet, device = pipeline.vae, pipeline.unet, pipeline._execution_device
    # As diffusers' pipelines do: in half precision SDXL's own VAE overflows.
    is_upcast = isinstance(pipeline, StableDiffusionXLPipeline) and vae.config.force_upcast
    dtype = torch.float32 if is_upcast else unet.dtype
    vae.to(dtype)
    pixels = known_pixels(order.image, order.mask).to(device, dtype)
    code = vae.encode(pixels).latent_dist
    vae.to(unet.dtype)
    has_two = order.params.sd_guidance_scale > 1 and unet.config.time_cond_proj_dim is None
    shape = (2 if has_two else 1, *code.mean.shape[1:])
    noise = randn_tensor(shape, generator=order.generator, device=device, dtype=dtype)
    latents = (code.mean + code.std * noise) * vae.config.scaling_factor
    return torch.cat([latents, known_latents(order.mask, latents)], dim=1).to(unet.dtype)


def known_pixels(image: Image, mask: Mask) -> Tensor:
    """(1, 3, H, W) float -1..1, black under the mask."""
    levels = torch.from_numpy(image * (mask == 0)[..., None]).permute(2, 0, 1)[None]
    return 2 * (levels / 255) - 1


def known_latents(mask: Mask, latents: Tensor) -> Tensor:
    """(B, 1, h, w) like `latents`: 1 where the upper left pixel of a latent is not masked."""
    known = torch.from_numpy(mask == 0)[None, None].to(latents)
    sized = functional.interpolate(known, size=latents.shape[-2:])
    return sized.expand(len(latents), -1, -1, -1)
