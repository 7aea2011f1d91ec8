"""Histogram matching: the colours of a painted picture moved to those of the one around it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.arrays import Image

LEVELS = 256


def match_histograms(painted: Image, original: Image, kept: NDArray[np.bool_]) -> Image:
    """`painted` with each channel's levels replaced, so that where pixels are kept its histogram
    becomes that of `original`.

    A level goes to the lowest one of `original` with at least as large a share of pixels at or
    below it: IOPaint's rule, which it applies by comparing every level with every other.

    Args:
        painted: (H, W, 3) uint8.
        original: (H, W, 3) uint8.
        kept: (H, W), the pixels that are counted. With none, `painted` comes back as it is;
            IOPaint answers black.
    """  # noqa: D205  one sentence
    if not kept.any():
        return painted
    table = np.empty((1, LEVELS, painted.shape[2]), np.uint8)
    for channel in range(painted.shape[2]):
        given = _cumulated(painted[..., channel], kept)
        wanted = _cumulated(original[..., channel], kept)
        table[0, :, channel] = np.searchsorted(wanted, given, side="left")
    return np.asarray(cv2.LUT(painted, table), np.uint8)


def _cumulated(channel: NDArray[np.uint8], kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many of the kept pixels have each level or a lower one."""
    return np.cumsum(np.bincount(channel[kept], minlength=LEVELS))
