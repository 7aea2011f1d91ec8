"""Where AnyText writes: the parts of a mask, in reading order."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.arrays import Mask
from inpaint.errors import ParamsError

CELL_PX = 102
"""Side of the cells by which parts are ordered: rows of cells from the top, each from the left."""
OUTLINE_SLACK = 0.01
"""How far an outline may stray from a part's border, as a share of the border's length."""

Outline = NDArray[np.int32]
"""(N, 2): x and y of a polygon's corners."""


@dataclass(frozen=True, slots=True)
class Place:
    """One part of the mask, for one line."""

    outline: Outline
    area: Mask
    """(H, W), 0 or 255: the part together with what its outline encloses."""


@dataclass(frozen=True, slots=True)
class Places:
    """What a mask says. Numbers and order are IOPaint's."""

    of_lines: tuple[Place, ...]
    hole: Mask
    """(H, W), 0 or 255: the areas of all parts, of those without a line too."""


def find_places(mask: Mask, lines: int) -> Places:
    """A place for each line; a part is what hangs together, be it at a corner.

    Args:
        mask: (H, W), 0 or 255.
        lines: how many there are to write.

    Raises:
        ParamsError: there are more lines than parts.
    """
    count, labels, boxes, centres = cv2.connectedComponentsWithStats(mask)
    parts = sorted(range(1, count), key=lambda part: tuple(centres[part][::-1] // CELL_PX))
    if len(parts) < lines:
        raise ParamsError(
            f"prompt: it quotes {_number(lines, 'line')}, and the mask has "
            f"{_number(len(parts), 'separate part')}; each line needs a part of its own."
        )
    hole = mask.copy()
    places = []
    for rank, part in enumerate(parts):
        left, top, width, height = boxes[part][:4]
        window = slice(top, top + height), slice(left, left + width)
        pixels = np.where(labels[window] == part, np.uint8(255), np.uint8(0))
        outline = outline_of(pixels) + np.array([left, top], np.int32)
        _fill(hole, outline)
        if rank < lines:
            area = np.zeros_like(mask)
            area[window] = pixels
            _fill(area, outline)
            places.append(Place(outline, area))
    return Places(tuple(places), hole)


def outline_of(part: Mask) -> Outline:
    """A polygon of few corners around the only part of a mask."""
    [border], _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    slack = OUTLINE_SLACK * cv2.arcLength(border, closed=True)
    return np.asarray(cv2.approxPolyDP(border, slack, closed=True)[:, 0], np.int32)


def _fill(area: Mask, outline: Outline) -> None:
    """Paint what `outline` encloses, itself included."""
    cv2.drawContours(area, [outline], -1, (255,), cv2.FILLED)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
