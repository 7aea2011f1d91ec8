"""Photos and masks of any size, made from what scikit-image ships."""

import cv2
import numpy as np
import simplejpeg
from skimage import data

from inpaint.arrays import Image, Mask, Size


def photo(size: Size) -> Image:
    """scikit-image's coffee photo at (height, width) `size`, with fine grain.

    Enlarging alone would leave a picture smoother, and so faster to code, than a camera's.
    """
    height, width = size
    image = cv2.resize(data.coffee(), (width, height), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).normal(0, 3, (height, width, 1))
    return np.asarray(np.clip(image + grain, 0, 255), np.uint8)


def one_hole(size: Size, side_px: int = 60) -> Mask:
    """A mask with a square hole in the middle."""
    mask = np.zeros(size, np.uint8)
    top, left = (size[0] - side_px) // 2, (size[1] - side_px) // 2
    mask[top : top + side_px, left : left + side_px] = 255
    return mask


def jpeg(image: Image) -> bytes:
    """A JPEG as cameras write it: quality 92, 4:2:0."""
    return bytes(simplejpeg.encode_jpeg(image, quality=92, colorsubsampling="420"))


def png(array: Image | Mask) -> bytes:
    """A PNG at OpenCV's own settings."""
    colours = array if array.ndim == 2 else cv2.cvtColor(array, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", colours)[1].tobytes()
