"""What `run` does to pixels: masks made to fit, and picture, mask and result in one."""

from pathlib import Path

import cv2
import numpy as np

from inpaint import codecs
from inpaint.arrays import Image
from inpaint.codecs import Format, Limits

NO_LIMITS = Limits(max_pixels=2**40)
"""The user's own files; the server has its limits."""
QUALITY = 95


def read_pair(image: Path, mask: Path) -> tuple[bytes, bytes]:
    """Both files, the mask resized to the picture where it has another size, as IOPaint does.

    Raises:
        ImageDecodeError: one of them is no picture.
        OSError: one of them cannot be read.
    """
    picture, marks = image.read_bytes(), mask.read_bytes()
    size = codecs.read_size(picture, NO_LIMITS)
    if codecs.read_size(marks, NO_LIMITS) != size:
        holes = codecs.decode_mask(marks, NO_LIMITS)
        fitted = cv2.resize(holes, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
        marks = cv2.imencode(".png", fitted)[1].tobytes()
    return picture, marks


def concat(picture: bytes, mask: bytes, result: bytes, format: Format) -> bytes:
    """Picture, mask and result beside each other.

    Raises:
        ImageDecodeError: one of them is no picture.
        ImageTooLargeError: the format holds no picture of that size.
    """
    source = codecs.decode(picture, NO_LIMITS)
    marks = codecs.decode_mask(mask, NO_LIMITS)
    painted = codecs.decode(result, NO_LIMITS).image
    row = side_by_side([source.image, cv2.cvtColor(marks, cv2.COLOR_GRAY2RGB), painted])
    return codecs.encode(row, None, format, source.metadata, QUALITY)


def side_by_side(images: list[np.ndarray], gap_px: int = 0) -> Image:
    """RGB pictures in one row, the lower ones filled up with white."""
    height = max(image.shape[0] for image in images)
    columns = []
    for number, image in enumerate(images):
        below, left = height - image.shape[0], gap_px if number else 0
        columns.append(
            cv2.copyMakeBorder(image, 0, below, left, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
        )
    return np.ascontiguousarray(np.hstack(columns), np.uint8)
