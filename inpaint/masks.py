"""Masks: binary where they enter, their holes, growing them, drawing them from polygons."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.arrays import Mask, Size
from inpaint.boxes import Box

THRESHOLD = 127
"""A grey value above this is a hole (IOPaint's rule)."""

MAX_HOLES = 10_000
"""With more spots a mask is noise and counts as one hole. OpenCV takes 39 s to list the contours
of 64 megapixels of noise, 0.1 s to find that they are too many."""

NEAR_PX, FAR_PX = 12, 250
"""Up to the first, OpenCV's own dilation is the faster one; the second fits into 8 bits."""

BLOCK_ROWS = 64
"""Rows that are worked on together, so that they stay in the processor's cache."""

_NEIGHBOURS_BEFORE = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0]], np.uint8)
"""The neighbours that come before a pixel in reading order."""


def binarize(grey: NDArray[np.uint8]) -> Mask:
    """(H, W) uint8 with 255 where `grey` is above THRESHOLD and 0 elsewhere, as a new array."""
    return np.asarray(cv2.threshold(grey, THRESHOLD, 255, cv2.THRESH_BINARY)[1], np.uint8)


def bounds(mask: Mask) -> Box | None:
    """The smallest box that holds every non-zero pixel; None when there is none."""
    left, top, width, height = cv2.boundingRect(mask)
    return Box(left, top, left + width, top + height) if width and height else None


def holes(mask: Mask) -> tuple[Box, ...]:
    """Bounding boxes of the outer contours of a binary `mask`, in OpenCV's contour order.

    The order is IOPaint's (`cv2.findContours`, external contours), so that tiles are made and
    pasted in the same order. Boxes may overlap: a contour can lie in the box of another.
    Above MAX_HOLES spots there is one box, that of all.
    """
    area = bounds(mask)
    if area is None:
        return ()
    used = mask[area.window]
    if _count_starts(used) > MAX_HOLES:
        return (area,)
    contours, _ = cv2.findContours(
        used, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(area.left, area.top)
    )
    rectangles = (cv2.boundingRect(contour) for contour in contours)
    return tuple(Box(x, y, x + width, y + height) for x, y, width, height in rectangles)


def _count_starts(mask: Mask) -> int:
    """How many pixels have none set before them: at least one for each contour."""
    return int(np.count_nonzero(mask > cv2.dilate(mask, _NEIGHBOURS_BEFORE)))


def dilate(mask: Mask, radius_px: int) -> Mask:
    """Grow the holes by an ellipse of `radius_px` pixels in every direction, as a new array.

    Takes time in proportion to the pixels of the mask, whatever its shape.

    Args:
        mask: (H, W) uint8, 0 or 255.
        radius_px: the ellipse is OpenCV's, from FAR_PX on a true circle.
    """
    if radius_px > FAR_PX:
        return _dilate_by_distance(mask, radius_px)
    side = 2 * radius_px + 1
    kernel = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
    if radius_px <= NEAR_PX:
        return np.asarray(cv2.dilate(mask, kernel), np.uint8)
    height, width = mask.shape
    if height <= width:
        return _dilate_far(mask, kernel)
    turned = _dilate_far(np.ascontiguousarray(mask.T), np.ascontiguousarray(kernel.T))
    return np.ascontiguousarray(turned.T)


def _dilate_by_distance(mask: Mask, radius_px: int) -> Mask:
    if not mask.any():  # there is nothing to be distant from
        return mask.copy()
    is_kept = np.asarray(mask == 0, np.uint8)
    distance = cv2.distanceTransform(is_kept, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(distance <= radius_px, np.uint8(255), np.uint8(0))


def _dilate_far(mask: Mask, kernel: Mask) -> Mask:
    """What cv2.dilate answers, in time that grows with the radius and not with its square.

    Every column of the ellipse, and so every row, is one run around its middle. So a pixel is set
    if, in one of the mask's columns beside it, a set pixel is no farther up or down than that run
    reaches. At 100 px this takes 19 ms a megapixel and OpenCV 390.

    Args:
        mask: (H, W) uint8, wider than high: each row takes a turn of a loop, and needs memory for
            its own width and the kernel's.
        kernel: the ellipse.
    """
    radius = kernel.shape[0] // 2
    reach: list[int] = (kernel.sum(axis=0, dtype=np.int64) // 2).tolist()
    height, width = mask.shape
    far = np.full((height, width + 2 * radius), radius + 1, np.uint8)
    distance = far[:, radius : radius + width]  # up or down to the next set pixel
    distance[mask > 0] = 0
    for row in range(1, height):
        np.minimum(distance[row], distance[row - 1] + 1, out=distance[row])
    for row in range(height - 2, -1, -1):
        np.minimum(distance[row], distance[row + 1] + 1, out=distance[row])
    grown = np.zeros((height, width), bool)
    for top in range(0, height, BLOCK_ROWS):
        rows, block = far[top : top + BLOCK_ROWS], grown[top : top + BLOCK_ROWS]
        for left, most in enumerate(reach):
            block |= rows[:, left : left + width] <= most
    return np.where(grown, np.uint8(255), np.uint8(0))


def from_polygons(polygons: Sequence[NDArray[np.floating]], size: Size) -> Mask:
    """A (height, width) mask with the inside of each polygon at 255.

    Args:
        polygons: (N, 2) corner points each, x then y, in pixels; parts outside `size` are cut.
        size: (height, width) of the mask.
    """
    mask = np.zeros(size, np.uint8)
    corners = [np.rint(polygon).astype(np.int32) for polygon in polygons]
    for polygon in corners:  # one by one: a single call would cancel where two overlap
        cv2.fillPoly(mask, [polygon], (255,))
    return mask
