"""The sheet of before/after pictures of the text removal benchmark."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from inpaint.arrays import Image

CELL_PX = (270, 360)
GAP_PX = 6
ACROSS = 2
MOST_BYTES = 400_000


def write_sheet(path: Path, pairs: Sequence[tuple[Image, Image]]) -> None:
    """Before and after side by side, two pairs in a row, as a JPEG below 400 kB."""
    rows = [
        np.hstack([_pair(before, after) for before, after in pairs[start : start + ACROSS]])
        for start in range(0, len(pairs) - len(pairs) % ACROSS, ACROSS)
    ]
    sheet = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    for quality in range(88, 30, -6):
        data = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) < MOST_BYTES:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"{path}: {sheet.shape[1]}x{sheet.shape[0]} px, {len(data) / 1000:.0f} kB")


def _pair(before: Image, after: Image) -> Image:
    return np.asarray(np.hstack([_cell(before), _cell(after, wide_gap=True)]), np.uint8)


def _cell(image: Image, wide_gap: bool = False) -> Image:
    """The picture cut to the cell's shape, shrunk, with a white edge at the right and bottom."""
    height, width = CELL_PX
    scale = max(height / image.shape[0], width / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top, left = (small.shape[0] - height) // 2, (small.shape[1] - width) // 2
    cut = small[top : top + height, left : left + width]
    right = GAP_PX * (4 if wide_gap else 1)
    white = (255, 255, 255)
    return np.asarray(
        cv2.copyMakeBorder(cut, 0, GAP_PX, 0, right, cv2.BORDER_CONSTANT, value=white), np.uint8
    )
