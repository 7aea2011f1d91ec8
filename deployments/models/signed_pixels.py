"""Pictures as networks of the StyleGAN family see them: -1 is black, 1 is white."""

import numpy as np
import torch
from torch import Tensor

from inpaint.arrays import Images


def to_signed(images: Images) -> Tensor:
    """(N, H, W, 3) uint8 to (N, 3, H, W) float32, -1..1, on the CPU.

    Scaled by numpy, and left in numpy's memory order, as IOPaint does it: so the last bits agree.
    """
    return torch.from_numpy(images.astype(np.float32) / 255 * 2 - 1).permute(0, 3, 1, 2)


def to_levels(painted: Tensor) -> Images:
    """(N, 3, H, W) float of about -1..1 to (N, H, W, 3) uint8, rounded half to even, clipped."""
    levels = (painted.permute(0, 2, 3, 1) * 127.5 + 127.5).round().clamp(0, 255)
    return np.ascontiguousarray(levels.to(torch.uint8).cpu().numpy())
