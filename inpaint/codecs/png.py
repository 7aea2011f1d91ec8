"""PNG files: chunks in, chunks out (https://www.w3.org/TR/png-3/)."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2

from inpaint.arrays import Alpha, Image
from inpaint.codecs import exif
from inpaint.codecs.picture import Format, Header, Metadata
from inpaint.codecs.source import MAX_PROFILE_BYTES, MAX_TEXT_BYTES, Source
from inpaint.errors import ImageDecodeError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
IHDR_END = 33  # signature 8, length 4, name 4, data 13, CRC 4
INCH_M = 0.0254
MAX_CHUNKS = 200_000  # 100 times what a 20 MB file in chunks of 8 KiB has
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
MODES = {GREY: "L", RGB: "RGB", PALETTE: "P", GREY_ALPHA: "LA", RGB_ALPHA: "RGBA"}
PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
KEYWORD = b"parameters"

Chunk = tuple[bytes, memoryview, memoryview]
"""Name, data, and the whole chunk with length and CRC."""


@dataclass(slots=True)
class _Found:
    """What the walk over the chunks collects."""

    colour: int
    metadata: Metadata = field(default_factory=Metadata)
    orientation: int = 1
    colour_key: tuple[int, ...] | None = None
    parts: list[bytes | memoryview] = field(default_factory=lambda: [SIGNATURE])


def read(view: memoryview) -> Source:
    """Take a PNG apart. Of an animation only the still picture is kept."""
    if bytes(view[12:16]) != b"IHDR":
        raise ImageDecodeError("The PNG does not begin with an IHDR chunk; send the whole file.")
    width, height, bits, colour = struct.unpack_from(">IIBB", view, 16)
    mode = {(GREY, 1): "1", (GREY, 16): "I;16"}.get((colour, bits), MODES[colour])
    found = _Found(colour)
    for chunk in _chunks(view):
        _collect(found, *chunk)
    header = Header(Format.PNG, (height, width), mode)
    parts = tuple(found.parts)
    return Source(header, found.metadata, parts, found.orientation, found.colour_key, bits)


def _chunks(view: memoryview) -> Iterator[Chunk]:
    """Every chunk up to IEND; the last one may break off."""
    at = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(view):
            return
        length, name = struct.unpack_from(">I4s", view, at)
        yield name, view[at + 8 : at + 8 + length], view[at : at + 12 + length]
        if name == b"IEND":
            return
        at += 12 + length
    raise ImageDecodeError(f"The PNG has more than {MAX_CHUNKS} chunks; save it anew.")


def _collect(found: _Found, name: bytes, body: memoryview, whole: memoryview) -> None:
    if name in PIXEL_CHUNKS or (name == b"tRNS" and found.colour == PALETTE):
        found.parts.append(whole)
    elif name == b"tRNS" and found.colour in (GREY, RGB):
        found.colour_key = struct.unpack_from(">H" if found.colour == GREY else ">HHH", body)
    elif name == b"eXIf":
        block, found.orientation = exif.tidy(body)
        found.metadata = replace(found.metadata, exif=block)
    elif name in METADATA_READERS:
        found.metadata = METADATA_READERS[name](found.metadata, body)


def _inflate(packed: bytes, limit: int) -> bytes | None:
    """The unpacked bytes; None if they are damaged or more than `limit`."""
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(packed, limit)
    except zlib.error:
        return None
    return unpacked if unpacker.eof else None


def _with_profile(metadata: Metadata, body: memoryview) -> Metadata:
    _, _, rest = bytes(body).partition(b"\0")
    return replace(metadata, icc_profile=_inflate(rest[1:], MAX_PROFILE_BYTES))


def _with_density(metadata: Metadata, body: memoryview) -> Metadata:
    across, down, unit = struct.unpack_from(">IIB", body)
    if unit != 1 or not across or not down:  # 1 is the metre; 0 gives the pixels' shape only
        return metadata
    return replace(metadata, dpi=(across * INCH_M, down * INCH_M))


def _with_text(metadata: Metadata, body: memoryview) -> Metadata:
    if len(body) > MAX_TEXT_BYTES:
        return metadata
    keyword, _, text = bytes(body).partition(b"\0")
    return replace(metadata, parameters=text.decode("latin-1")) if keyword == KEYWORD else metadata


def _with_packed_text(metadata: Metadata, body: memoryview) -> Metadata:
    keyword, _, rest = bytes(body[: MAX_TEXT_BYTES + 1]).partition(b"\0")
    text = _inflate(rest[1:], MAX_TEXT_BYTES) if keyword == KEYWORD else None
    return metadata if text is None else replace(metadata, parameters=text.decode("latin-1"))


def _with_unicode_text(metadata: Metadata, body: memoryview) -> Metadata:
    keyword, _, rest = bytes(body[: MAX_TEXT_BYTES + 1]).partition(b"\0")
    if keyword != KEYWORD or len(body) > MAX_TEXT_BYTES:
        return metadata
    language_word_text = rest[2:].split(b"\0", 2)
    if len(language_word_text) != 3:
        return metadata
    stored = language_word_text[2]
    text = _inflate(stored, MAX_TEXT_BYTES) if rest[:1] == b"\1" else stored
    if text is None:
        return metadata
    return replace(metadata, parameters=text.decode("utf-8", "replace"))


METADATA_READERS = {
    b"iCCP": _with_profile,
    b"pHYs": _with_density,
    b"tEXt": _with_text,
    b"zTXt": _with_packed_text,
    b"iTXt": _with_unicode_text,
}


def write(image: Image, alpha: Alpha | None, metadata: Metadata) -> bytes:
    """A PNG of 8 bits a sample, RGB or RGBA."""
    if alpha is None:
        samples = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    else:
        samples = cv2.insertChannel(alpha, cv2.cvtColor(image, cv2.COLOR_RGB2BGRA), 3)
    # No parameters: 0.6 s for 12 megapixels where Pillow takes 3.1 s. Naming any compression
    # level makes OpenCV give up its filter heuristic and take twice as long.
    _, encoded = cv2.imencode(".png", samples)
    view = memoryview(encoded.data)
    return b"".join((view[:IHDR_END], *_metadata_chunks(metadata), view[IHDR_END:]))


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _metadata_chunks(metadata: Metadata) -> Iterator[bytes]:
    if profile := metadata.profile_of(b"RGB "):
        yield _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))
    if metadata.dpi:
        across, down = (round(dots / INCH_M) for dots in metadata.dpi)
        yield _chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
    if metadata.exif:
        yield _chunk(b"eXIf", metadata.exif)
    if metadata.parameters is not None:
        try:
            yield _chunk(b"tEXt", KEYWORD + b"\0" + metadata.parameters.encode("latin-1"))
        except UnicodeEncodeError:
            text = metadata.parameters.encode("utf-8", "replace")
            yield _chunk(b"iTXt", KEYWORD + b"\0\0\0\0\0" + text)
