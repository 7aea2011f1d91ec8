"""Masks of lines of text: their polygons, their boxes, or the letters themselves.

Each line is worked on in the window around its own polygon, so that the cost depends on how much
text there is, not on the size of the picture.
"""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from inpaint.arrays import Image, Mask
from inpaint.polygons import around, grown
from inpaint.text_strokes import strokes
from inpaint.texts import Polygon, TextRegion

MARGIN_LEAST_PX = 1
"""Growth of the smallest text, whose edges are smeared over more than a tenth of its height."""


class MaskMode(StrEnum):
    """What of a line is repainted."""

    POLYGON = "polygon"
    BOX = "box"
    STROKE = "stroke"


def text_mask(image: Image, regions: Sequence[TextRegion], mode: MaskMode, margin: float) -> Mask:
    """A new binary mask of the lines.

    Args:
        image: (H, W, 3) uint8 RGB, only read.
        regions: lines; what lies outside the picture is cut off.
        mode: POLYGON: the detector's polygons. BOX: the upright boxes around them. STROKE: the
            letters with their outlines and shadows, and the polygon where they cannot be told
            from what is behind them.
        margin: growth on all sides, in heights of the line.
    """
    size = (image.shape[0], image.shape[1])
    mask = np.zeros(size, np.uint8)
    for region in regions:
        _add(mask, image, region, mode, margin)
    return mask


def margin_px(region: TextRegion, margin: float) -> int:
    """`margin` in pixels of the picture."""
    return MARGIN_LEAST_PX + round(margin * region.height_px)


def _add(mask: Mask, image: Image, region: TextRegion, mode: MaskMode, margin: float) -> None:
    size = (mask.shape[0], mask.shape[1])
    growth = margin_px(region, margin)
    if mode is MaskMode.STROKE:
        found = strokes(image, region, growth)
        if found is not None:
            window, letters = found
            mask[window.window] |= letters
            return
    polygon = _upright(region.polygon) if mode is MaskMode.BOX else region.polygon
    window = around(polygon, growth + 1, size)
    mask[window.window] |= grown(polygon, growth, window)


def _upright(polygon: Polygon) -> Polygon:
    (left, top), (right, bottom) = polygon.min(axis=0), polygon.max(axis=0)
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
