"""The example picture of a request: what the hole should show, for models that read one."""

import numpy as np
from PIL import Image as Pictures

from inpaint import codecs
from inpaint.arrays import Image, Size
from inpaint.codecs import Limits
from inpaint.errors import ImageDecodeError, ImageTooLargeError, ParamsError
from inpaint.specs import ModelSpec

EXAMPLE = "paint_by_example_example_image"
"""IOPaint's name of it: the field, and what a model that reads one lists under `reads`."""

LONGEST_PX = 1024
SHORTEST_PX = 448
"""A larger one is shrunk until its longer side has LONGEST_PX, or its shorter one SHORTEST_PX.

CLIP's encoder sees a square of 224 px, cut out after the shorter side has been shrunk to 224. With
twice that to begin with, what it sees differs by less than 1 level of 255 on average (noise, edges
and smooth pictures of 600x1300 to 3000x4000 px); of a long picture it can lie half a pixel beside.
"""


def reads_example(spec: ModelSpec) -> bool:
    """Whether a model makes something of an example picture."""
    return EXAMPLE in spec.reads


def check_example(spec: ModelSpec, has_example: bool) -> None:
    """Raise ParamsError for a model that needs an example picture and gets none."""
    if reads_example(spec) and not has_example:
        raise ParamsError(
            f"The model '{spec.name}' paints what an example shows: send a picture as '{EXAMPLE}'."
        )


def decode_example(data: bytes | memoryview, limits: Limits) -> Image:
    """Read an example picture: upright, without its alpha, and no larger than it need be.

    Returns:
        (h, w, 3) uint8 RGB.

    Raises:
        ImageDecodeError, ImageTooLargeError: see codecs.decode; they name the field.
    """
    try:
        image = codecs.decode(data, limits).image
    except (ImageDecodeError, ImageTooLargeError) as error:
        raise type(error)(f"{EXAMPLE}: {error.detail}", error.context) from error
    size = bounded((image.shape[0], image.shape[1]))
    if size == image.shape[:2]:
        return image
    shrunk = Pictures.fromarray(image).resize(size[::-1], Pictures.Resampling.BICUBIC)
    return np.asarray(shrunk)


def bounded(size: Size) -> Size:
    """The (height, width) at which an example of `size` is sent on."""
    scale = max(LONGEST_PX / max(size), SHORTEST_PX / min(size))
    if scale >= 1:
        return size
    return round(size[0] * scale), round(size[1] * scale)
