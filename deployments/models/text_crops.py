"""From lines of a picture to upright strips for the recogniser."""

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.arrays import Image
from inpaint.texts import Polygon

TALL = 1.5
"""A crop this many times as high as it is wide counts as vertical writing; PaddleOCR's figure."""

LONGEST = 30.0
"""Width to height of a strip. The recogniser squeezes what is beyond 66 and misreads before."""

BATCH_PX = 48 * 320 * 6
"""Pixels of one batch at the recogniser's height of 48 px; larger ones are no faster."""

Strip = NDArray[np.uint8]


def cut_out(image: Image, quad: Polygon) -> Strip:
    """The picture's part inside `quad`, turned so that its first side is the top; BGR."""
    top, right, bottom, left = np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    width, height = max(1, int(max(top, bottom))), max(1, int(max(left, right)))
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.ascontiguousarray(quad), corners)
    crop = cv2.warpPerspective(
        image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.ascontiguousarray(crop[..., ::-1])


def first_turn(crop: Strip) -> int:
    """Quarter turns, counter-clockwise, that most likely set the writing upright."""
    return 1 if crop.shape[0] >= TALL * crop.shape[1] else 0


def other_turns(crop: Strip) -> tuple[int, ...]:
    """The turns to try where the first one reads badly."""
    if first_turn(crop) == 0:
        return (2,)
    # Barely tall ones can be one upright letter or a few stacked ones.
    return (3, 0) if crop.shape[0] < 2 * TALL * crop.shape[1] else (3,)


def turned_polygon(quad: Polygon, turn: int) -> Polygon:
    """`quad` starting at the top left of writing that is upright after `turn` quarter turns."""
    return np.roll(quad, -turn, axis=0)


def pieces(strip: Strip) -> list[Strip]:
    """`strip` in parts that the recogniser can take, cut where the least is written."""
    height, width = strip.shape[:2]
    count = math.ceil(width / (LONGEST * height))
    if count < 2:
        return [strip]
    busy = cv2.cvtColor(strip, cv2.COLOR_BGR2GRAY).std(axis=0)
    cuts = [0]
    for number in range(1, count):
        middle = number * width // count
        near = slice(max(cuts[-1] + 1, middle - 2 * height), middle + 2 * height)
        cuts.append(near.start + int(busy[near].argmin()))
    return [
        np.ascontiguousarray(strip[:, left:right])
        for left, right in zip(cuts, [*cuts[1:], width], strict=True)
    ]


def batches(strips: Sequence[Strip]) -> Iterator[list[int]]:
    """Indices of `strips`, like with like: a batch is padded to its widest."""
    widths = [48 * max(strip.shape[1] / strip.shape[0], 320 / 48) for strip in strips]
    batch: list[int] = []
    for index in sorted(range(len(strips)), key=lambda n: widths[n]):
        if batch and (len(batch) + 1) * widths[index] * 48 > BATCH_PX:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
