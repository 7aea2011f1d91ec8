"""Makes docs/images/before-after.jpg: a photo, a mask, and the photo with the objects erased.

python -m benchmarks.before_after
"""

from pathlib import Path

import cv2
import numpy as np
from skimage import data

from benchmarks import pictures
from deployments.models.opencv import OpenCV
from inpaint.arrays import Image, Mask
from inpaint.masks import dilate, holes
from inpaint.params import EraseParams
from inpaint.plans import StrategyOptions, plan
from inpaint.specs import StrategyTiling
from inpaint.tiles import cut, paste

TARGET = Path(__file__).parents[1] / "docs" / "images" / "before-after.jpg"
COINS = ((216, 51, 27), (154, 127, 23), (101, 195, 25), (276, 52, 22))
"""Centre x, centre y and radius, in pixels, of four coins of scikit-image's coins photo."""


def erase(image: Image, mask: Mask) -> Image:
    """What POST /inpaint with model=cv2 does between decoding and encoding."""
    erased = image.copy()
    options = StrategyOptions()
    size = (image.shape[0], image.shape[1])
    for tile in plan(size, holes(mask), StrategyTiling(), options).tiles:
        piece = cut(image, mask, tile)
        params = EraseParams(cv2_flag="INPAINT_TELEA", cv2_radius=8)
        painted = OpenCV().forward(piece.pixels[None], piece.holes[None], params)
        paste(erased, mask, piece, painted[0])
    return erased


def main() -> None:
    """Write the picture."""
    image = np.asarray(cv2.cvtColor(data.coins(), cv2.COLOR_GRAY2RGB), np.uint8)
    mask = np.zeros(image.shape[:2], np.uint8)
    for x, y, radius in COINS:
        cv2.circle(mask, (x, y), radius, (255,), -1)
    mask = dilate(mask, 3)
    marked = image.copy()
    marked[mask > 0] = (marked[mask > 0] * 0.3 + np.array([178, 30, 60])).astype(np.uint8)
    gap = np.full((image.shape[0], 12, 3), 255, np.uint8)
    sheet = np.hstack([image, gap, marked, gap, erase(image, mask)])
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(pictures.jpeg(np.ascontiguousarray(sheet)))


if __name__ == "__main__":
    main()
