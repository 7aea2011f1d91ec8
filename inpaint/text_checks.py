"""Reading again where text was erased: where to look, and what counts as still there."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from inpaint.arrays import Mask, Size
from inpaint.boxes import Box, merge_overlapping, with_margin
from inpaint.masks import from_polygons, holes
from inpaint.texts import TextRegion

LOOK_AROUND = 1.0
"""Context around an erased line, in line heights: a detector finds nothing at a picture's edge."""

REMAINS_SHARE = 0.5
"""A line counts as remaining when this part of it lies where text was erased."""


def box_of(region: TextRegion, size: Size) -> Box:
    """The box around a line's polygon, within a picture of `size`; at least one pixel."""
    low = np.floor(region.polygon.min(axis=0)).astype(int)
    high = np.ceil(region.polygon.max(axis=0)).astype(int)
    left, top = np.clip(low, 0, (size[1] - 1, size[0] - 1)).tolist()
    right, bottom = np.clip(high, (left + 1, top + 1), (size[1], size[0])).tolist()
    return Box(left, top, right, bottom)


def windows(lines: Sequence[TextRegion], size: Size) -> tuple[Box, ...]:
    """The parts of a picture of `size` to read again: each line and what is around it."""
    looked_at = (
        with_margin(box_of(line, size), max(8, round(LOOK_AROUND * line.height_px)), size)
        for line in lines
    )
    return merge_overlapping(list(looked_at))


def moved(regions: Iterable[TextRegion], window: Box) -> list[TextRegion]:
    """Regions found in `window`, in coordinates of the whole picture."""
    offset = np.array([window.left, window.top], np.float32)
    return [replace(region, polygon=region.polygon + offset) for region in regions]


def remaining(found: Iterable[TextRegion], mask: Mask) -> list[TextRegion]:
    """Those of the lines found again that lie in the erased `mask`, and have words in them.

    A text beside the mask, which a rule keeps, is found again too, and stays.
    """
    size = (mask.shape[0], mask.shape[1])
    return [region for region in found if region.text.strip() and _share(region, mask, size)]


def _share(region: TextRegion, mask: Mask, size: Size) -> bool:
    window = box_of(region, size)
    corner = np.array([window.left, window.top])
    inside = from_polygons([region.polygon - corner], window.size)
    covered = cv2.countNonZero(cv2.bitwise_and(inside, mask[window.window]))
    return covered >= REMAINS_SHARE * max(1, cv2.countNonZero(inside))


def line_holes(mask: Mask, lines: Sequence[TextRegion]) -> tuple[Box, ...]:
    """The holes of `mask` with the letters of a line taken together."""
    size = (mask.shape[0], mask.shape[1])
    return holes(cv2.bitwise_or(mask, from_polygons([line.polygon for line in lines], size)))
