"""GIF files (GIF89a)."""

import io
import struct

import numpy as np
from PIL import Image as PillowImage

from inpaint.arrays import Alpha, Image
from inpaint.codecs.picture import Format, Header, Metadata
from inpaint.codecs.source import Source
from inpaint.errors import ImageDecodeError

SIGNATURES = (b"GIF87a", b"GIF89a")
SCREEN_END = 13  # signature and logical screen descriptor
EXTENSION, DESCRIPTOR, TRAILER = 0x21, 0x2C, 0x3B
GRAPHIC_CONTROL = 0xF9
OPAQUE_FROM = 128  # GIF knows only opaque and transparent
CLEAR = 255  # palette index that is transparent
SAMPLE_PIXELS = 250_000
"""The palette is chosen from so many pixels: 0.2 s, where all of 12 megapixels take 15 s."""


def read(view: memoryview) -> Source:
    """Take a GIF apart. Of an animation only the first frame is kept."""
    width, height, flags = struct.unpack_from("<HHB", view, 6)
    at = SCREEN_END + _palette_bytes(flags)
    parts: list[bytes | memoryview] = [view[:at]]
    control: bytes | memoryview = b""
    while view[at] != DESCRIPTOR:
        if view[at] == TRAILER:
            raise ImageDecodeError("The GIF holds no picture; send one with a frame.")
        end = _blocks_end(view, at + 2) if view[at] == EXTENSION else at + 1
        if view[at] == EXTENSION and view[at + 1] == GRAPHIC_CONTROL:
            control = view[at:end]
        at = end
    left, top, across, down, flags = struct.unpack_from("<HHHHB", view, at + 1)
    # Pillow widens the picture for a frame that reaches beyond the screen.
    size = max(height, top + down), max(width, left + across)
    end = _blocks_end(view, at + 10 + _palette_bytes(flags) + 1)
    parts += [control, view[at:end], bytes((TRAILER,))]
    return Source(Header(Format.GIF, size, "P"), Metadata(), tuple(parts))


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _blocks_end(view: memoryview, at: int) -> int:
    """Offset behind the sub-blocks that begin at `at`, or the end of a file that breaks off."""
    while at < len(view) and view[at]:
        at += 1 + view[at]
    return min(at + 1, len(view))


def write(image: Image, alpha: Alpha | None) -> bytes:
    """A GIF of 256 colours, one of them transparent if there is an `alpha`.

    Up to 255 distinct colours are kept exactly.
    """
    picture = PillowImage.fromarray(image)
    paletted = _paletted(picture)
    options = {}
    if alpha is not None:
        indices = np.where(alpha < OPAQUE_FROM, np.uint8(CLEAR), np.asarray(paletted))
        palette = paletted.getpalette() or []
        paletted = PillowImage.fromarray(indices)
        paletted.putpalette(palette + [0] * (3 * (CLEAR + 1) - len(palette)))
        options["transparency"] = CLEAR
    buffer = io.BytesIO()
    paletted.save(buffer, "GIF", **options)
    return buffer.getvalue()


def _paletted(picture: PillowImage.Image) -> PillowImage.Image:
    """The picture with at most 255 colours: exactly, or dithered to a palette of a sample."""
    median_cut = PillowImage.Quantize.MEDIANCUT
    if picture.getcolors(CLEAR):
        return picture.quantize(CLEAR, median_cut, dither=PillowImage.Dither.NONE)
    step = int((picture.width * picture.height / SAMPLE_PIXELS) ** 0.5) + 1
    sample = PillowImage.fromarray(np.ascontiguousarray(np.asarray(picture)[::step, ::step]))
    return picture.quantize(palette=sample.quantize(CLEAR, median_cut))
