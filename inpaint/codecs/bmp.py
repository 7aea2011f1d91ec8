"""BMP files (BITMAPINFOHEADER and its successors)."""

import struct

import cv2
import numpy as np

from inpaint.arrays import Alpha, Image
from inpaint.codecs.picture import Format, Header, Metadata
from inpaint.codecs.source import Source
from inpaint.errors import ImageDecodeError

FILE_HEADER = 14
CORE_HEADER, V3_HEADER, V4_HEADER = 12, 56, 108
RUN_LENGTHS, BITFIELDS = (1, 2), 3
INCH_M = 0.0254
MAX_RUN_LENGTH_BYTES = 4_000_000
"""Pillow unpacks run lengths in Python, about 1 s for so many bytes, and holds the GIL."""
BGRA_MASKS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
SRGB = 0x73524742  # LCS_sRGB


def read(view: memoryview) -> Source:
    """Take a BMP apart."""
    (header_bytes,) = struct.unpack_from("<I", view, FILE_HEADER)
    if header_bytes == CORE_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", view, FILE_HEADER + 4)
        return _source(view, (height, width), bits, Metadata())
    head = struct.unpack_from("<iiHHIIii", view, FILE_HEADER + 4)
    width, height, _, bits, compression, _, across, down = head
    if compression in RUN_LENGTHS and len(view) > MAX_RUN_LENGTH_BYTES:
        raise ImageDecodeError(
            f"The BMP has {len(view)} bytes of run lengths, of which at most "
            f"{MAX_RUN_LENGTH_BYTES} are read; save it uncompressed or as PNG."
        )
    dpi = (across * INCH_M, down * INCH_M) if across > 0 and down > 0 else None
    has_alpha = bits == 32 and compression == BITFIELDS and header_bytes >= V3_HEADER
    if has_alpha and struct.unpack_from("<I", view, FILE_HEADER + 52)[0] == 0:
        has_alpha = False
    return _source(view, (abs(height), width), bits, Metadata(dpi=dpi), has_alpha)


def _source(
    view: memoryview, size: tuple[int, int], bits: int, metadata: Metadata, alpha: bool = False
) -> Source:
    mode = "P" if bits <= 8 else "RGBA" if alpha else "RGB"
    return Source(Header(Format.BMP, size, mode), metadata, (view,))


def write(image: Image, alpha: Alpha | None, metadata: Metadata) -> bytes:
    """An uncompressed BMP: 24 bits, or 32 with an alpha mask.

    Written by hand, since both Pillow and OpenCV write 32 bits without the mask that makes
    readers look at the fourth byte.
    """
    height, width = image.shape[:2]
    flipped = cv2.flip(image, 0)
    if alpha is None:
        stride = -(-width * 3 // 4) * 4  # rows are padded to four bytes
        rows = np.zeros((height, stride), np.uint8)
        rows[:, : width * 3] = cv2.cvtColor(flipped, cv2.COLOR_RGB2BGR).reshape(height, -1)
    else:
        samples = cv2.cvtColor(flipped, cv2.COLOR_RGB2BGRA)
        rows = cv2.insertChannel(cv2.flip(alpha, 0), samples, 3)
    return b"".join((_header((height, width), rows.nbytes, alpha is not None, metadata), rows.data))


def _header(size: tuple[int, int], data_bytes: int, alpha: bool, metadata: Metadata) -> bytes:
    height, width = size
    header_bytes = V4_HEADER if alpha else 40
    offset = FILE_HEADER + header_bytes
    across, down = (round(dots / INCH_M) for dots in metadata.dpi or (0.0, 0.0))
    bits, compression = (32, BITFIELDS) if alpha else (24, 0)
    head = struct.pack("<2sIII", b"BM", offset + data_bytes, 0, offset) + struct.pack(
        "<IiiHHIIiiII",
        *(header_bytes, width, height, 1, bits, compression, data_bytes, across, down, 0, 0),
    )
    if not alpha:
        return head
    return (head + struct.pack("<5I", *BGRA_MASKS, SRGB)).ljust(offset, b"\0")
