"""Rectangles in pixels, and how IOPaint puts one around a hole."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inpaint.arrays import Size


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in image pixels. `right` and `bottom` lie just outside it."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def of_image(cls, size: Size) -> "Box":
        """The box of a whole picture of (height, width) `size`."""
        return cls(0, 0, size[1], size[0])

    @property
    def size(self) -> Size:
        """(height, width) in pixels."""
        return self.bottom - self.top, self.right - self.left

    @property
    def window(self) -> tuple[slice, slice]:
        """Index of this box in an array of shape (height, width, ...)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def overlaps(self, other: "Box") -> bool:
        """Whether the two share a pixel."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def moved(self, right: int, down: int) -> "Box":
        """This box, so many pixels further to the right and down."""
        return Box(self.left + right, self.top + down, self.right + right, self.bottom + down)

    def clipped(self, other: "Box") -> "Box":
        """The part of this box that lies in `other`; the two overlap."""
        return Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def union(self, other: "Box") -> "Box":
        """The smallest box that holds both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


def with_margin(hole: Box, margin: int, size: Size) -> Box:
    """`hole` with `margin` pixels of context on each side, inside a picture of `size`.

    IOPaint's arithmetic: an odd side loses one pixel to the integer division, and what one edge
    of the picture cuts off is added on the opposite side. The hole itself is never cut: where
    the lost pixel would have been the hole's (margin 0), the box keeps it.
    """
    left, right = _span(hole.left, hole.right, margin, size[1])
    top, bottom = _span(hole.top, hole.bottom, margin, size[0])
    return Box(left, top, right, bottom)


def _span(low: int, high: int, margin: int, limit: int) -> tuple[int, int]:
    centre, half = (low + high) // 2, (high - low + 2 * margin) // 2
    start, end = centre - half, centre + half
    shifted_start = max(start, 0) - max(end - limit, 0)
    shifted_end = min(end, limit) + max(-start, 0)
    return min(max(shifted_start, 0), low), max(min(shifted_end, limit), high)


def merge_overlapping(boxes: Sequence[Box], longest_px: int | None = None) -> tuple[Box, ...]:
    """Unions of boxes that overlap, until none do; in the order of each union's first member.

    At most two passes over an array for each box, however the boxes lie.

    Args:
        boxes: in pasting order.
        longest_px: unions with a longer side than this are not made, so that overlaps may stay;
            None for no limit.
    """
    kept = np.zeros((4, len(boxes)), np.int64)  # a column is a box; zeros: empty, overlaps none
    count = 0
    for box in boxes:
        union, place = box, count
        while (index := _partner(kept[:, :count], union, longest_px)) is not None:
            union = union.union(Box(*kept[:, index].tolist()))
            kept[:, index] = 0
            place = min(place, index)
        kept[:, place] = union.left, union.top, union.right, union.bottom
        count = max(count, place + 1)
    return tuple(Box(*column) for column in kept.T.tolist() if any(column))


def _partner(kept: NDArray[np.int64], box: Box, longest_px: int | None) -> int | None:
    """Index of the first column of `kept` to merge with `box`."""
    left, top, right, bottom = kept
    found = (left < box.right) & (box.left < right) & (top < box.bottom) & (box.top < bottom)
    if longest_px is not None:
        width = np.maximum(right, box.right) - np.minimum(left, box.left)
        height = np.maximum(bottom, box.bottom) - np.minimum(top, box.top)
        area = (box.right - box.left) * (box.bottom - box.top)
        is_nested = width * height == np.maximum((right - left) * (bottom - top), area)
        found &= (np.maximum(width, height) <= longest_px) | is_nested
    index = int(found.argmax()) if found.size else 0
    return index if found.size and found[index] else None
