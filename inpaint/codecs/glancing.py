"""The size of a picture in a file, without reading the whole file."""

from typing import BinaryIO

from PIL import Image as PillowImage

from inpaint.arrays import Size
from inpaint.codecs import exif
from inpaint.codecs.headers import SIDEWAYS_FROM
from inpaint.codecs.picture import Format
from inpaint.codecs.source import foreign_errors_named

SHOWN_BY_BROWSERS = (Format.PNG, Format.JPEG, Format.WEBP, Format.BMP, Format.GIF)


def glance_size(file: BinaryIO) -> Size:
    """(height, width) in pixels of the upright picture; what follows the header is not looked at.

    Args:
        file: open for reading, at its start. A picture that browsers show: no TIFF.

    Raises:
        ImageDecodeError: it is no such picture, or its header is damaged.
    """
    with foreign_errors_named("picture"), PillowImage.open(file, formats=SHOWN_BY_BROWSERS) as seen:
        width, height = seen.size
        block = seen.info.get("exif")
    orientation = exif.tidy(block)[1] if isinstance(block, bytes) else 1
    return (width, height) if orientation >= SIDEWAYS_FROM else (height, width)
