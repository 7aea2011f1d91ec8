"""A diffusion run's pixels: extending the picture, what the network is given, and blending.

Everything happens at the edge, outside of models, in the order of serve_app/diffusion_pipeline.py:

    extended ► cut (tiles.py) ► for_network ► the model ► blend
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.arrays import Alpha, Image, Mask, Size
from inpaint.boxes import Box
from inpaint.canvases import Canvas
from inpaint.diffusion import DiffusionOptions
from inpaint.histograms import match_histograms
from inpaint.masks import BLOCK_ROWS, binarize, bounds
from inpaint.tiles import Cut, pad, resized


def extended(image: Image, mask: Mask, canvas: Canvas) -> tuple[Image, Mask]:
    """The picture and its mask at their final size; as they are where nothing is extended.

    What is new repeats the picture's border pixels and is masked. Corners that belong neither to
    the picture nor to the extender's box are black and not masked.
    """
    if not canvas.is_extended:
        return image, mask
    return _grown(image, canvas, _repeated(image, canvas)), _grown(mask, canvas, 255)


def extended_alpha(alpha: Alpha | None, canvas: Canvas) -> Alpha | None:
    """The transparency at the final size: what is new is opaque, corners without content are not.

    None stays None.
    """
    if alpha is None or not canvas.is_extended:
        return alpha
    return _grown(alpha, canvas, 255)


def for_network(piece: Cut, size: Size) -> tuple[Image, Mask]:
    """What the network is given: padded to (height, width) `size`, the mask hard, 0 or 255.

    The mask is made hard by the rule of diffusers' pipelines, half and more, so that it means the
    same in each of them.
    """
    return pad(piece.pixels, size), binarize(pad(piece.holes, size))


def blend(image: Image, mask: Mask, piece: Cut, painted: Image, options: DiffusionOptions) -> None:
    """Write what was painted into `image`, in place.

    The feather is IOPaint's: a Gaussian blur of the mask at the size that the model saw. Where it
    is 0 the pixels of `image` stay, at every sd_scale; IOPaint resizes them too.

    Args:
        image: (H, W, 3) uint8, the picture at its final size, writable.
        mask: (H, W) uint8 binary mask of it.
        piece: what was cut out of both.
        painted: (h, w, 3) uint8, the model's answer; larger than `piece` where that was padded.
        options: how to put it back.
    """
    height, width = piece.tile.model_size
    new = painted[:height, :width]
    weight = feathered(piece.holes, options.sd_mask_blur)
    if options.sd_match_histograms:
        new = match_histograms(new, piece.pixels, weight == 0)
    box = piece.tile.box
    if not options.sd_keep_unmasked_area:
        image[box.window] = resized(new, box.size) if piece.tile.is_resized else new
        return
    if piece.tile.is_resized:
        new = _enlarged(new, box.size)
        # Without a feather nothing may change beside the holes, so these are not the shrunk ones.
        weight = resized(weight, box.size) if options.sd_mask_blur else mask[box.window]
    mix(image[box.window], new, weight)


def feathered(mask: Mask, radius_px: int) -> Mask:
    """`mask` with soft edges, half of them inside the holes; `mask` itself for a radius of 0.

    cv2.GaussianBlur of a kernel of 2 * radius_px + 1, computed only where it can differ from 0.
    """
    area = bounds(mask) if radius_px else None
    if area is None:
        return mask
    side = 2 * radius_px + 1
    window = _widened(area, 2 * radius_px, mask.shape).window  # its rim mirrors nothing masked
    soft = np.zeros_like(mask)
    soft[window] = cv2.GaussianBlur(mask[window], (side, side), 0)
    return soft


def mix(image: Image, new: Image, weight: Mask) -> None:
    """Move the pixels of `image` towards `new`: by nothing where `weight` is 0, all the way at 255.

    In float64 and truncated, as IOPaint does, but only for the box of the weights above 0, and a
    few rows at a time, so that they stay in the processor's cache.
    """
    area = bounds(weight)
    if area is None:
        return
    for top in range(area.top, area.bottom, BLOCK_ROWS):
        rows = slice(top, min(top + BLOCK_ROWS, area.bottom)), slice(area.left, area.right)
        part = weight[rows][..., np.newaxis] / 255
        image[rows] = (new[rows] * part + image[rows] * (1 - part)).astype(np.uint8)


def _repeated(image: Image, canvas: Canvas) -> Image:
    """The extender's box: the picture's part of it, and its border pixels repeated around."""
    place, picture = canvas.place, canvas.picture
    shared = place.clipped(picture)
    inside = image[shared.moved(-picture.left, -picture.top).window]
    return np.asarray(
        cv2.copyMakeBorder(
            inside,
            *(shared.top - place.top, place.bottom - shared.bottom),
            *(shared.left - place.left, place.right - shared.right),
            cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )


def _grown(
    array: NDArray[np.uint8], canvas: Canvas, new: NDArray[np.uint8] | int
) -> NDArray[np.uint8]:
    """`array` inside the finished picture, with `new` in the rest of the extender's box."""
    frame = np.zeros((*canvas.size, *array.shape[2:]), np.uint8)
    frame[canvas.place.window] = new
    frame[canvas.picture.window] = array
    return frame


def _enlarged(painted: Image, size: Size) -> Image:
    """`painted` at (height, width) `size`, as IOPaint enlarges what it has blended.

    That is float64, so it truncates; what overshoots is clipped here where IOPaint wraps around.
    Channel by channel, for the memory.
    """
    finished = np.empty((*size, 3), np.uint8)
    for channel in range(3):
        grown = resized(painted[..., channel].astype(np.float64), size)
        finished[..., channel] = np.clip(grown, 0, 255, out=grown)
    return finished


def _widened(box: Box, by: int, shape: tuple[int, ...]) -> Box:
    return Box(
        max(box.left - by, 0),
        max(box.top - by, 0),
        min(box.right + by, shape[1]),
        min(box.bottom + by, shape[0]),
    )
