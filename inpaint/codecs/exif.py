"""EXIF blocks: read the orientation, and cut out what must not go along.

Works on the bytes. Parsing and rewriting the block would move the maker notes, which hold
absolute offsets, and lets a forged block of overlapping tags grow to gigabytes.
"""

import struct

from inpaint.codecs.source import MAX_EXIF_BYTES

ORIENTATION = 0x0112
PREFIX = b"Exif\0\0"
SHORT, LONG = 3, 4  # TIFF 6.0, section 2: field types
THUMBNAIL_PLACES = ((0x0201, 0x0202), (0x0111, 0x0117))
"""Tags of offset and length: of a JPEG thumbnail, and of an uncompressed one."""

Entries = list[bytes]
"""The 12 bytes of every field of one directory."""


def tidy(block: bytes | memoryview) -> tuple[bytes | None, int]:
    r"""Split the orientation off.

    Args:
        block: with or without the leading "Exif\0\0".

    Returns:
        The block without orientation and thumbnail, and the orientation (1 to 8; 1 is upright).
        A block that is too large for a JPEG or is no EXIF gives (None, 1).
    """
    if len(block) > MAX_EXIF_BYTES + len(PREFIX):
        return None, 1
    data = bytearray(bytes(block).removeprefix(PREFIX))
    try:
        return _tidied(data)
    except (struct.error, KeyError):
        return None, 1


def _tidied(data: bytearray) -> tuple[bytes, int]:
    order = {b"II*\0": "<", b"MM\0*": ">"}[bytes(data[:4])]
    (at,) = struct.unpack_from(order + "I", data, 4)
    entries, thumbnail_at = _directory(data, at, order)
    if thumbnail_at:
        _blank_thumbnail(data, thumbnail_at, order)
    kept = [entry for entry in entries if _tag(entry, order) != ORIENTATION]
    table = struct.pack(order + "H", len(kept)) + b"".join(kept)
    end = at + 2 + 12 * len(entries) + 4
    data[at:end] = table.ljust(end - at, b"\0")  # zeros: there is no second directory
    turns = [entry for entry in entries if _tag(entry, order) == ORIENTATION]
    return bytes(data), _orientation(turns[0], order) if turns else 1


def _directory(data: bytearray, at: int, order: str) -> tuple[Entries, int]:
    """The fields of the directory at offset `at`, and the offset of the next one or 0."""
    (count,) = struct.unpack_from(order + "H", data, at)
    start = at + 2
    (following,) = struct.unpack_from(order + "I", data, start + 12 * count)
    return [bytes(data[start + 12 * i : start + 12 * i + 12]) for i in range(count)], following


def _tag(entry: bytes, order: str) -> int:
    return int(struct.unpack_from(order + "H", entry)[0])


def _number(entry: bytes, order: str) -> int:
    """The first value of a SHORT or LONG field, 0 for any other."""
    (kind,) = struct.unpack_from(order + "H", entry, 2)
    code = {SHORT: "H", LONG: "I"}.get(kind)
    return int(struct.unpack_from(order + code, entry, 8)[0]) if code else 0


def _orientation(entry: bytes, order: str) -> int:
    value = _number(entry, order)
    return value if 1 <= value <= 8 else 1


def _blank_thumbnail(data: bytearray, at: int, order: str) -> None:
    """Overwrite the thumbnail's bytes with zeros, if the directory at `at` is sound."""
    try:
        entries, _ = _directory(data, at, order)
    except struct.error:
        return
    numbers = {_tag(entry, order): _number(entry, order) for entry in entries}
    for offset_tag, length_tag in THUMBNAIL_PLACES:
        start, length = numbers.get(offset_tag, 0), numbers.get(length_tag, 0)
        # Never over the first eight bytes: they are the block's own header.
        if start >= 8 and start + length <= len(data):
            data[start : start + length] = bytes(length)
