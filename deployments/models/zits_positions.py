"""ZITS's masked positional encoding: how deep in the hole a pixel is, and where the hole ends.

After Dong et al. 2022, "Incremental Transformer Structure Enhanced Image Inpainting with Masking
Positional Encoding" (arXiv 2203.00867), section 3.4. The authors find both by growing the known
part pixel by pixel; here both follow from one distance transform, with the same numbers.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.arrays import Mask

GRID_PX = 256
"""Side of the square on which depths are counted, whatever the picture's size."""

DEPTHS = 128
"""Depths that the network tells apart; what lies deeper counts as the last."""

CORNERS = (((-1, 0), (-1, 0)), ((0, 1), (-1, 0)), ((-1, 0), (0, 1)), ((0, 1), (0, 1)))
"""Rows and columns around a pixel, by direction: up left, down left, up right, down right."""


class Positions(NamedTuple):
    """The encoding of one mask. Outside the hole everything is 0."""

    depths: NDArray[np.int64]
    """(H, W), 1..127 in the hole: steps to the nearest known pixel, diagonal ones included."""
    directions: NDArray[np.int64]
    """(H, W, 4), 0 or 1: whether a step towards each of CORNERS leads out of the hole."""


def encode_positions(mask: Mask) -> Positions:
    """Encode a mask of 0 and 255 with sides of at least 256 px.

    Where no cell of the grid is known, the hole is as deep as can be said and has no direction.
    (IOPaint never answers there.)
    """
    holes = shrink_mask(mask, GRID_PX)
    distances = np.full(holes.shape, DEPTHS, np.float32)
    if not holes.all():
        distances = cv2.distanceTransform(holes, cv2.DIST_C, cv2.DIST_MASK_3).astype(np.float32)
    depths = np.minimum(distances, DEPTHS - 1).astype(np.uint8)
    return Positions(_spread(depths, mask), _spread(_directions(distances), mask))


def shrink_mask(mask: Mask, side: int) -> Mask:
    """(side, side), 0 or 255: a cell is a hole where its average is 0.5 or more of 255."""
    small = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA)
    return np.where(small > 0, np.uint8(255), np.uint8(0))


def _spread(codes: NDArray[np.uint8], mask: Mask) -> NDArray[np.int64]:
    """`codes` of the grid for every pixel of `mask`; 0 outside the holes.

    A cell of the grid may be a hole for a part of it: what is known of it stays known.
    """
    spread = cv2.resize(codes, mask.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(np.int64)
    spread[mask == 0] = 0
    return spread


def _directions(distances: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H, W, 4): whether one of the three neighbours in a corner is nearer to what is known."""
    height, width = distances.shape
    around = np.pad(distances, 1, mode="reflect")  # as OpenCV's filters see a picture's border
    nearest = [
        np.minimum.reduce(
            [
                around[1 + row : 1 + row + height, 1 + column : 1 + column + width]
                for row in rows
                for column in columns
            ]
        )
        for rows, columns in CORNERS
    ]
    return np.stack([least < distances for least in nearest], axis=-1).astype(np.uint8)
