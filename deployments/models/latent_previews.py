"""Coarse pictures of a run that goes on: latents to RGB by one small matrix, without the VAE."""

import numpy as np
import torch
from torch import Tensor

from inpaint.arrays import Image

SD15 = (
    (0.298, 0.187, -0.158, -0.184),
    (0.207, 0.286, 0.189, -0.271),
    (0.208, 0.173, 0.264, -0.473),
)
"""Red, green, blue (-1..1) of the four channels. Fitted by users of Hugging Face's forum:
https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204"""

SDXL = ((60, -60, 25, -70), (60, -5, 15, -50), (60, 10, -5, -35))
SDXL_BIAS = (150, 140, 130)
"""Red, green, blue (0..255). From diffusers' guide to callbacks, after
https://huggingface.co/blog/TimothyAlexisVass/explaining-the-sdxl-latent-space"""


def preview(latents: Tensor, is_xl: bool) -> Image:
    """What the picture will be about.

    Args:
        latents: (1, 4, H/8, W/8) in the middle of a run, noise included.
        is_xl: whether they are SDXL's.

    Returns:
        (H/8, W/8, 3) uint8 RGB.
    """
    values = latents[0].float().cpu()
    # Some samplers let noise stand at many times the picture's own scale, which is about 1.
    values = values / values.std().clamp(min=1)
    weights = torch.tensor(SDXL if is_xl else SD15, dtype=torch.float32)
    colours = torch.einsum("rc,chw->hwr", weights, values)
    levels = colours + torch.tensor(SDXL_BIAS) if is_xl else (colours + 1) * 127.5
    return np.ascontiguousarray(levels.clamp(0, 255).round().to(torch.uint8).numpy())
