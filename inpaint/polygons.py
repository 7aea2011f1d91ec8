"""Polygons as pixels, in the window around each."""

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.arrays import Mask, Size
from inpaint.boxes import Box

_FRACTION_BITS = 4
"""OpenCV draws at sixteenths of a pixel: a detector's corners are not whole numbers."""

WIDEST_PEN_PX = 32_767
"""MAX_THICKNESS of OpenCV: nothing grows by more than half of it."""


def around(polygon: NDArray[np.floating], margin_px: float, size: Size) -> Box:
    """The upright box of `polygon` with a margin, cut to a picture of (height, width) `size`.

    It has no pixel where the polygon lies outside the picture.
    """
    height, width = size
    low = np.floor(polygon.min(axis=0) - margin_px)
    high = np.ceil(polygon.max(axis=0) + margin_px) + 1
    left, top = np.clip(low, 0, (width, height)).astype(int).tolist()
    right, bottom = np.clip(high, (left, top), (width, height)).astype(int).tolist()
    return Box(left, top, right, bottom)


def grown(polygon: NDArray[np.floating], growth_px: float, window: Box) -> Mask:
    """A mask of `window`'s size: `polygon` and everything within `growth_px` of it.

    The polygon's edge is drawn with a round pen, which is its true growth for any shape, without
    a kernel of that size moving over the picture.
    """
    mask = np.zeros(window.size, np.uint8)
    if not mask.size:
        return mask
    corners = (polygon - np.array([window.left, window.top])) * 2**_FRACTION_BITS
    points = [np.rint(corners).astype(np.int32)]
    cv2.fillPoly(mask, points, (255,), shift=_FRACTION_BITS)
    pen_px = min(round(2 * growth_px), WIDEST_PEN_PX)  # OpenCV's pens are 1 px wider than they say
    if pen_px > 0:
        cv2.polylines(mask, points, True, (255,), pen_px, shift=_FRACTION_BITS)
    return mask
