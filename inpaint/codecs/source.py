"""A file taken apart without decoding pixels, and the one place where decoders' errors end."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image as PillowImage

from inpaint.codecs.picture import Header, Metadata
from inpaint.errors import ImageDecodeError

FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zlib.error,
    PillowImage.DecompressionBombError,
)
"""Everything that parsers of damaged files raise: Pillow documents no narrower set. MemoryError is
among them because the size was checked before: what still asks for too much is a forged length."""

MAX_PROFILE_BYTES = 4 * 1024**2  # The largest press profiles in use are about 3 MB.
MAX_EXIF_BYTES = 65_527  # What one JPEG APP1 segment holds beside its length and "Exif\0\0".
MAX_TEXT_BYTES = 1024**2  # Pillow's bound for one PNG text chunk.


@dataclass(frozen=True, slots=True)
class Source:
    """One file, taken apart.

    Attributes:
        header: format, size and mode.
        metadata: of the file.
        parts: slices that, joined, are a file of the same pixels and nothing else: one frame, no
            metadata, no orientation. Pillow gets this, so that it cannot be kept busy by
            megabytes of comments, and never turns the picture by itself.
        orientation: EXIF orientation, 1 to 8.
        colour_key: the stored sample values that mean transparent, for PNG.
        bits: per sample.
    """

    header: Header
    metadata: Metadata
    parts: tuple[bytes | memoryview, ...]
    orientation: int = 1
    colour_key: tuple[int, ...] | None = None
    bits: int = 8


@contextmanager
def foreign_errors_named(what: str) -> Iterator[None]:
    """Turn a parser's or decoder's error into an ImageDecodeError about `what` ("PNG")."""
    try:
        yield
    except FAILURES as error:
        raise ImageDecodeError(
            f"The {what} is damaged or breaks off, or stores its samples in a way that is not "
            "read here; send the whole file, or save it as an 8-bit PNG or JPEG."
        ) from error
