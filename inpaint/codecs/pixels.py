"""From a file's samples to RGB and alpha, and from the stored to the upright position."""

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageCms
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from inpaint.arrays import Alpha, Image
from inpaint.codecs.picture import Format
from inpaint.codecs.source import Source
from inpaint.errors import ImageDecodeError

Grey = NDArray[np.uint8]
"""(height, width), 0 is black."""

AnyArray = NDArray[np.integer[Any] | np.floating[Any]]
"""What OpenCV's type hints say that it returns."""

# Opened by class and not by Image.open: that warns of "decompression bombs" by a global limit of
# its own, and silencing a warning is not safe among threads. Our limit was checked before.
OPENERS: dict[Format, type[ImageFile]] = {
    Format.PNG: PngImageFile,
    Format.JPEG: JpegImageFile,
    Format.WEBP: WebPImageFile,
    Format.BMP: BmpImageFile,
    Format.TIFF: TiffImageFile,
    Format.GIF: GifImageFile,
}
TO_RGB = frozenset({"RGB", "P", "PA", "YCbCr", "RGBX"})
TURNS: dict[int, Callable[[NDArray[np.uint8]], AnyArray]] = {
    2: lambda array: cv2.flip(array, 1),
    3: lambda array: cv2.rotate(array, cv2.ROTATE_180),
    4: lambda array: cv2.flip(array, 0),
    5: lambda array: cv2.transpose(array),
    6: lambda array: cv2.rotate(array, cv2.ROTATE_90_CLOCKWISE),
    7: lambda array: cv2.rotate(cv2.transpose(array), cv2.ROTATE_180),
    8: lambda array: cv2.rotate(array, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
"""By EXIF orientation; OpenCV takes 20 ms for 12 megapixels, numpy 120."""


def uint8(array: AnyArray) -> NDArray[np.uint8]:
    """The same array with the type that it has."""
    return np.asarray(array, np.uint8)


def rgb_of(grey: Grey) -> Image:
    """The same grey three times."""
    return uint8(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))


def load(source: Source) -> PillowImage.Image:
    """Decode the pixels with Pillow."""
    opened = OPENERS[source.header.format](io.BytesIO(b"".join(source.parts)))
    height, width = source.header.size
    if opened.size != (width, height):
        # The limit was checked on the header's size, so no other size may be decoded.
        raise ImageDecodeError("The picture contradicts itself about its size; save it anew.")
    opened.load()
    return opened


def is_16_bit(picture: PillowImage.Image) -> bool:
    """Whether the samples are 16-bit grey."""
    return picture.mode.startswith("I;16")


def high_byte(samples: NDArray[np.uint16]) -> Grey:
    """16 to 8 bits, as Pillow does it with 16-bit colours, so that grey and colour agree.

    The exact inverse of widening a byte to two (times 257).
    """
    return (samples >> 8).astype(np.uint8)


def rgb_and_alpha(picture: PillowImage.Image, profile: bytes | None) -> tuple[Image, Alpha | None]:
    """The samples of any mode as RGB, and its transparency if it has any.

    Args:
        picture: decoded by Pillow.
        profile: the embedded colour profile; it is applied to CMYK only.

    Raises:
        ImageDecodeError: the mode has no agreed range or meaning.
    """
    if is_16_bit(picture):
        return rgb_of(high_byte(np.asarray(picture))), None
    if picture.has_transparency_data:
        rgba = np.asarray(picture if picture.mode == "RGBA" else picture.convert("RGBA"))
        return uint8(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)), uint8(cv2.extractChannel(rgba, 3))
    if picture.mode in ("1", "L"):
        grey = picture if picture.mode == "L" else picture.convert("L")
        return rgb_of(np.asarray(grey)), None
    if picture.mode == "CMYK":
        return np.asarray(srgb_of(picture, profile)), None
    if picture.mode in TO_RGB:
        return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB")), None
    raise unreadable_mode(picture)


def unreadable_mode(picture: PillowImage.Image) -> ImageDecodeError:
    """The error for samples of no agreed range: 32-bit integers, floats, LAB."""
    return ImageDecodeError(
        f'The picture stores its samples as "{picture.mode}", which is not read here; '
        "save it with 8 or 16 bits a sample, grey or RGB."
    )


def srgb_of(picture: PillowImage.Image, profile: bytes | None) -> PillowImage.Image:
    """A CMYK picture in sRGB: by its own profile, or by Pillow's plain formula without one."""
    if profile is None or profile[16:20] != b"CMYK":
        return picture.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        turned = ImageCms.profileToProfile(
            picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        turned = None
    return turned or picture.convert("RGB")


def key_alpha(samples: NDArray[np.uint8] | NDArray[np.uint16], key: tuple[int, ...]) -> Alpha:
    """Transparent where all samples of a pixel equal `key`, opaque elsewhere.

    Args:
        samples: (H, W) or (H, W, 3), in the range of `key`.
        key: one value for each sample.
    """
    low = np.array(key, np.float64)
    return uint8(cv2.bitwise_not(cv2.inRange(samples, low, low)))


def upright(array: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """`array` as it is to be seen; `array` itself if it is upright."""
    return uint8(TURNS[orientation](array)) if orientation in TURNS else array


def joined(image: Image, alpha: Alpha | None) -> NDArray[np.uint8]:
    """(H, W, 3) or, with `alpha`, (H, W, 4)."""
    if alpha is None:
        return image
    return uint8(cv2.insertChannel(alpha, cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), 3))
