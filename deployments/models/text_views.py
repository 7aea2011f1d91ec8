"""Which parts of a picture the text detector looks at, and how large: plain data.

The detector finds letters that are some 5 to 120 px high in its input. So the picture is looked at
in several scales, each a quarter of the one before: tiles of the finest for small writing, the
whole, made small, for large writing. The cost is the number of pixels that the detector sees, and
the finest scale is lowered until all of them are within the budget.
"""

import math
from dataclasses import dataclass

from inpaint.arrays import Size
from inpaint.boxes import Box

TILE_PX = 736
"""Longest side of a tile at its scale. The detector overlooks a lone small line in a large input:
of 30 lines of 10 to 20 px it found 29 to 30 in inputs of 736 px, 6 to 20 in those of 1280 px."""

OVERLAP_PX = 96
"""What neighbouring tiles share at their scale. Higher letters are for the next coarser one."""

COARSER = 4
"""From one scale to the next: well below 120 / 5, so that ranges of letter heights overlap."""

COARSEST_PX = 480
"""The whole is looked at once with a longer side of at most this: any letter is in range then."""

MAX_SOURCE_PX = 32_000
"""PaddleOCR answers in int16: a longer side of a view would come back negative."""


@dataclass(frozen=True, slots=True)
class View:
    """A part of the picture at a scale."""

    box: Box
    scale: float
    """Of the detector's input to the picture."""

    def is_cut(self, box: Box, picture: Size, slack_px: float) -> bool:
        """Whether `box` reaches a border of this view that is not one of the picture."""
        height, width = picture
        view = self.box
        return (
            (view.left > 0 and box.left <= view.left + slack_px)
            or (view.top > 0 and box.top <= view.top + slack_px)
            or (view.right < width and box.right >= view.right - slack_px)
            or (view.bottom < height and box.bottom >= view.bottom - slack_px)
        )


def plan_views(size: Size, zoom: float, max_pixels: int) -> list[View]:
    """Views in every scale, the finest first.

    Args:
        size: (height, width) of the picture.
        zoom: the finest scale, if the budget allows it.
        max_pixels: how many pixels the detector may see.
    """
    scale = min(zoom, math.sqrt(max_pixels / (size[0] * size[1])))
    views = _pyramid(size, scale)
    while (pixels := sum(_pixels(view) for view in views)) > max_pixels and len(views) > 1:
        scale *= min(math.sqrt(max_pixels / pixels), 0.98)
        views = _pyramid(size, scale)
    return views


def plan_whole(size: Size, long_px: int) -> list[View]:
    """The whole picture once, its longer side at most `long_px`: PaddleOCR's own way."""
    scale = min(1.0, long_px / max(size))
    return _tiles(size, scale, long_px)


def _pyramid(size: Size, finest: float) -> list[View]:
    views = _tiles(size, finest, TILE_PX)
    scale = finest
    while scale * max(size) > COARSEST_PX:
        scale /= COARSER
        views += _tiles(size, scale, TILE_PX)
    return views


def _tiles(size: Size, scale: float, tile_px: int) -> list[View]:
    side = min(tile_px / scale, MAX_SOURCE_PX)
    overlap = min(OVERLAP_PX / scale, side / 4)
    return [
        View(Box(left, top, right, bottom), scale)
        for top, bottom in _spans(size[0], side, overlap)
        for left, right in _spans(size[1], side, overlap)
    ]


def _spans(length: int, side: float, overlap: float) -> list[tuple[int, int]]:
    """As few spans as hold 0..length, equally long, each sharing `overlap` with the next."""
    count = max(1, math.ceil((length - overlap) / (side - overlap)))
    span = (length + (count - 1) * overlap) / count
    starts = [round(n * (span - overlap)) for n in range(count)]
    return [(start, min(length, math.ceil(start + span))) for start in starts]


def _pixels(view: View) -> float:
    height, width = view.box.size
    return height * width * view.scale**2
