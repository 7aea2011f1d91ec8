"""What a file is and how large its picture would be. No pixel is decoded here."""

from collections.abc import Callable

from PIL import Image as PillowImage

from inpaint.arrays import Size
from inpaint.codecs import bmp, gif, jpeg, png, tiff, webp
from inpaint.codecs.picture import Format, Header, Limits, Metadata
from inpaint.codecs.source import Source, foreign_errors_named
from inpaint.errors import ImageDecodeError, ImageTooLargeError

READERS: dict[Format, Callable[[memoryview], Source]] = {
    Format.PNG: png.read,
    Format.JPEG: jpeg.read,
    Format.WEBP: webp.read,
    Format.BMP: bmp.read,
    Format.TIFF: tiff.read,
    Format.GIF: gif.read,
}
BOUND_BY_PILLOW = frozenset({Format.WEBP, Format.TIFF, Format.GIF})
"""Pillow's readers of these warn or stop above its own limit (89 megapixels) while they decode. To
refuse such pictures by name is better than to change a global that other code relies on."""
SIDEWAYS_FROM = 5  # EXIF orientations 5 to 8 exchange width and height
SIGNATURES = (
    (png.SIGNATURE, Format.PNG),
    (jpeg.SIGNATURE, Format.JPEG),
    *((signature, Format.GIF) for signature in gif.SIGNATURES),
    *((signature, Format.TIFF) for signature in tiff.SIGNATURES),
    (b"BM", Format.BMP),
)


def sniff(data: bytes | memoryview) -> Format | None:
    """The format that the first bytes announce, whatever the file was called."""
    head = bytes(data[:12])
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return Format.WEBP
    return next((format for start, format in SIGNATURES if head.startswith(start)), None)


def take_apart(data: bytes | memoryview) -> Source:
    """Read everything but the pixels.

    Raises:
        ImageDecodeError: the bytes are no picture that is read here.
    """
    if not len(data):
        raise ImageDecodeError("The picture is empty (0 bytes); send the bytes of an image file.")
    format = sniff(data)
    if format is None:
        raise ImageDecodeError(
            "The bytes are no picture that is read here; "
            "send a PNG, JPEG, WebP, BMP, TIFF or GIF file."
        )
    with foreign_errors_named(format.upper()):
        source = READERS[format](memoryview(data))
    height, width = source.header.size
    if height < 1 or width < 1:
        raise ImageDecodeError(
            f"The {format.upper()} is {width}x{height} px; send one with at least one pixel."
        )
    return source


def read_header(data: bytes | memoryview, limits: Limits | None = None) -> Header:
    """Format, size and mode of a picture.

    Raises:
        ImageDecodeError: the bytes are no picture that is read here.
        ImageTooLargeError: it has more pixels than `limits` allow.
    """
    header = take_apart(data).header
    if limits:
        check_size(header, limits)
    return header


def read_size(data: bytes | memoryview, limits: Limits) -> Size:
    """(height, width) in pixels of the upright picture; see `read_header` for errors."""
    source = take_apart(data)
    check_size(source.header, limits)
    height, width = source.header.size
    return (width, height) if source.orientation >= SIDEWAYS_FROM else (height, width)


def read_metadata(data: bytes | memoryview, limits: Limits) -> Metadata:
    """What a picture's file says beside its pixels; see `read_header` for errors."""
    source = take_apart(data)
    check_size(source.header, limits)
    return source.metadata


def check_size(header: Header, limits: Limits) -> None:
    """Raise ImageTooLargeError if the picture has more pixels than are taken."""
    height, width = header.size
    most = limits.max_pixels
    if header.format in BOUND_BY_PILLOW and PillowImage.MAX_IMAGE_PIXELS is not None:
        most = min(most, PillowImage.MAX_IMAGE_PIXELS)
    if height * width > most:
        raise ImageTooLargeError(
            f"The {header.format.upper()} is {width}x{height} px, {height * width} in all; "
            f"send at most {most}."
        )
