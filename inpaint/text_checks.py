"""Reading again where text was erased: where to look, and what counts as still there."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from inpaint.arrays import Mask, Size
from inpaint.boxes import Box, merge_overlapping
from inpaint.masks import from_polygons, holes
from inpaint.polygons import around, grown
from inpaint.texts import TextRegion

LOOK_AROUND = 1.0
"""Context around an erased line, in line heights: a detector finds nothing at a picture's edge."""
LOOK_AROUND_PX = 8
"""And at least so many pixels."""

WORD_SCORE, WORD_LETTERS = 0.5, 2
"""What counts as a word: single letters are read into the smears of an erased line, too. Of nine
finds in benchmarks/text_removal.py five were such."""

REMAINS_SHARE = 0.5
"""A line counts as remaining when this part of it lies where text was erased."""


def windows(lines: Sequence[TextRegion], size: Size) -> tuple[Box, ...]:
    """The parts of a picture of `size` to read again: each line and what is around it."""
    looked_at = (
        around(line.polygon, max(LOOK_AROUND_PX, LOOK_AROUND * line.height_px), size)
        for line in lines
    )
    return merge_overlapping([box for box in looked_at if min(box.size) > 0])


def moved(regions: Iterable[TextRegion], window: Box) -> list[TextRegion]:
    """Regions found in `window`, in coordinates of the whole picture."""
    offset = np.array([window.left, window.top], np.float32)
    return [replace(region, polygon=region.polygon + offset) for region in regions]


def remaining(found: Iterable[TextRegion], mask: Mask) -> list[TextRegion]:
    """Those of the lines found again that lie in the erased `mask`, and have words in them.

    A text beside the mask, which a rule keeps, is found again too, and stays.
    """
    return [region for region in found if _is_word(region) and _lies_in(region, mask)]


def _is_word(region: TextRegion) -> bool:
    letters = sum(character.isalnum() for character in region.text)
    return region.score >= WORD_SCORE and letters >= WORD_LETTERS


def _lies_in(region: TextRegion, mask: Mask) -> bool:
    window = around(region.polygon, 0, (mask.shape[0], mask.shape[1]))
    inside = grown(region.polygon, 0, window)
    erased = np.count_nonzero(inside & mask[window.window])
    return bool(erased > 0 and erased >= REMAINS_SHARE * np.count_nonzero(inside))


def line_holes(mask: Mask, lines: Sequence[TextRegion]) -> tuple[Box, ...]:
    """The holes of `mask` with the letters of a line taken together."""
    size = (mask.shape[0], mask.shape[1])
    whole_lines = from_polygons([line.polygon for line in lines], size)
    return holes(np.maximum(mask, whole_lines))
