"""OpenCV's two classical fills: no weights, no network, good for scratches and thin lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from inpaint.arrays import Image, Images, Mask, Masks
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

FLAGS = {"INPAINT_NS": cv2.INPAINT_NS, "INPAINT_TELEA": cv2.INPAINT_TELEA}
"""Navier-Stokes and Telea's fast marching, by the names of the parameter cv2_flag."""

REACH_PX = 2
"""What cv2.inpaint reads beyond the radius: the gradient of the outermost pixel, and one more so
that this pixel is not the window's edge, which OpenCV treats in its own way."""


class OpenCV:
    """cv2.inpaint. Every non-zero mask pixel is a hole, which is OpenCV's own rule.

    Bit for bit what OpenCV answers for the whole picture. It fills each channel by itself, so RGB
    needs no turning into BGR.
    """

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        """Nothing to read; runs on the CPU whatever the device."""
        return cls()

    def forward(self, images: Images, masks: Masks, params: EraseParams) -> Images:
        """See InpaintModel.forward."""
        radius, flag = params.cv2_radius, FLAGS[params.cv2_flag]
        repainted = images.copy()
        for image, mask in zip(repainted, masks, strict=True):
            window = window_around(mask, radius + REACH_PX)
            image[window] = fill(image[window], mask[window], radius, flag)
        return repainted


def fill(image: Image, mask: Mask, radius_px: int, flag: int) -> Image:
    """cv2.inpaint, made safe for sides of 1 px.

    OpenCV takes the gradient at the first row from the second, and reads past the picture's
    memory where there is none: the same 1x30 picture came back in 12 versions. So a side of 1 px
    is doubled for the call.
    """
    height, width = mask.shape
    if 1 in mask.shape:
        grow = [(0, int(side == 1)) for side in mask.shape]
        image, mask = np.pad(image, [*grow, (0, 0)], mode="edge"), np.pad(mask, grow, mode="edge")
    filled = np.asarray(cv2.inpaint(image, mask, radius_px, flag), np.uint8)
    return filled[:height, :width]


def window_around(mask: Mask, margin_px: int) -> tuple[slice, slice]:
    """Rows and columns of the box around all non-zero pixels, grown and clipped to the mask.

    cv2.inpaint builds maps of the whole picture, 8 bytes a pixel, however small the holes are.
    One box holds all holes, so OpenCV meets them in the order that it would in the whole picture.
    """
    left, top, width, height = cv2.boundingRect(mask)
    rows = slice(max(0, top - margin_px), top + height + margin_px)
    columns = slice(max(0, left - margin_px), left + width + margin_px)
    return rows, columns
