"""POST /api/v1/adjust_mask: a mask grown, shrunk or turned over."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from inpaint import codecs
from inpaint.arrays import Mask
from inpaint.codecs import Format, Limits, Metadata
from inpaint.errors import ParamsError
from inpaint.masks import FAR_PX, dilate
from serve_app import bodies

BRUSH_RGB = (255, 203, 0)
BRUSH_ALPHA = 186
"""How IOPaint's page draws a mask; elsewhere the picture is transparent black."""

THRESHOLD = 127
"""A grey value from here on is a hole: one less than for POST /inpaint, as in IOPaint."""


class AdjustMask(BaseModel):
    """A request of IOPaint's clients."""

    mask: str = Field(description="White is a hole. Base64 or a data: URL.")
    operate: Literal["expand", "shrink", "reverse"]
    kernel_size: int = Field(
        default=5, description="How far, in pixels, 0 to 250; of no effect on reverse."
    )


def adjusted(asked: AdjustMask, limits: Limits) -> bytes:
    """The new mask as a PNG in the page's brush colour.

    Raises:
        ParamsError: the kernel is out of range, or the mask no base64.
        ImageDecodeError, ImageTooLargeError: see codecs.decode_grey.
    """
    if asked.operate != "reverse" and not 0 <= asked.kernel_size <= FAR_PX:
        raise ParamsError(f"kernel_size must lie between 0 and {FAR_PX} pixels.")
    grey = codecs.decode_grey(bodies.from_base64("mask", asked.mask), limits)
    mask = np.where(grey >= THRESHOLD, np.uint8(255), np.uint8(0))
    return drawn(_changed(mask, asked))


def _changed(mask: Mask, asked: AdjustMask) -> Mask:
    match asked.operate:
        case "expand":
            return dilate(mask, asked.kernel_size)
        case "shrink":  # what lies beyond the edge of the picture shrinks nothing
            return 255 - dilate(255 - mask, asked.kernel_size)
        case "reverse":
            return 255 - mask


def drawn(mask: Mask) -> bytes:
    """A mask as a PNG in the page's brush colour; `mask` is (H, W) uint8, holes are above 0."""
    is_hole = mask > 0
    image = np.where(is_hole[..., None], np.array(BRUSH_RGB, np.uint8), np.uint8(0))
    alpha = np.where(is_hole, np.uint8(BRUSH_ALPHA), np.uint8(0))
    return codecs.encode(image, alpha, Format.PNG, Metadata(), quality=100)
