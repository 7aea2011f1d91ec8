"""Tiles as pixels: cutting them out, padding them for a network, pasting them back."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.arrays import Image, Mask, Size
from inpaint.plans import Tile


@dataclass(frozen=True, slots=True)
class Cut:
    """The pixels of one tile, at the size that the model sees."""

    tile: Tile
    pixels: Image
    holes: Mask


def cut(image: Image, mask: Mask, tile: Tile) -> Cut:
    """Take `tile` out of the picture.

    Where the tile is not resized, `pixels` and `holes` are views. Resizing is bicubic for both,
    as in IOPaint, so the mask becomes grey there.
    """
    pixels, holes = image[tile.box.window], mask[tile.box.window]
    if tile.is_resized:
        pixels, holes = resized(pixels, tile.model_size), resized(holes, tile.model_size)
    return Cut(tile, pixels, holes)


def pad(array: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """`array` grown to (height, width) `size` at the bottom and right by mirroring its pixels."""
    grow = [(0, target - side) for target, side in zip(size, array.shape[:2], strict=True)]
    if not any(after for _, after in grow):
        return array
    return np.pad(array, grow + [(0, 0)] * (array.ndim - 2), mode="symmetric")


def paste(image: Image, mask: Mask, piece: Cut, painted: Image) -> None:
    """Write the masked pixels of `painted` into `image`, in place; all others stay as they are.

    Args:
        image: (H, W, 3) uint8, the whole picture, writable.
        mask: (H, W) uint8 binary mask of the whole picture.
        piece: what the model was given.
        painted: (h, w, 3) uint8 of `piece.pixels`' size, what the model answered.
    """
    window = piece.tile.box.window
    new = _scaled_back(piece, painted) if piece.tile.is_resized else painted
    cv2.copyTo(new, mask[window], image[window])


def _scaled_back(piece: Cut, painted: Image) -> Image:
    """`painted` blended at the model's size and enlarged to the tile's.

    IOPaint's order of steps, so that equal weights give equal pixels: blend by the grey mask in
    float64, enlarge bicubically, truncate. Overshoot is clipped here where IOPaint wraps around.
    """
    alpha = piece.holes[..., None] / 255
    blended = painted * alpha + piece.pixels * (1 - alpha)
    return np.clip(resized(blended, piece.tile.box.size), 0, 255).astype(np.uint8)


def resized(array: NDArray, size: Size) -> NDArray:  # type: ignore[type-arg]
    """`array` at (height, width) `size`, bicubic: uint8 is clipped, a float can overshoot."""
    return cv2.resize(array, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
