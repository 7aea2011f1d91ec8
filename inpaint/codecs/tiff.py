"""TIFF files (TIFF 6.0, and BigTIFF for files beyond 4 GB)."""

import io
import struct
from dataclasses import dataclass

from PIL import Image as PillowImage

from inpaint.arrays import Alpha, Image
from inpaint.codecs.picture import Format, Header, Metadata
from inpaint.codecs.pixels import joined
from inpaint.codecs.source import MAX_PROFILE_BYTES, Source
from inpaint.errors import ImageDecodeError

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 282, 283, 296
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, SAMPLE_FORMAT, PROFILE = 317, 322, 323, 339, 34675
SAMPLES = 277
PIXEL_TAGS = frozenset({
    *(254, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 266, 273, SAMPLES, 278, 279, 284),
    *(292, 293, PREDICTOR, 320, TILE_WIDTH, TILE_HEIGHT, 324, 325, 332, 338, SAMPLE_FORMAT),
    *(347, *range(512, 522), 529, 530, 531, 532),
})  # fmt: skip
"""What it takes to find and decode the samples; all other tags are kept from Pillow."""
SINGLE_TAGS = frozenset({
    *(254, WIDTH, HEIGHT, COMPRESSION, PHOTOMETRIC, 266, SAMPLES, 278, 284, 292, 293),
    *(PREDICTOR, TILE_WIDTH, TILE_HEIGHT, 332, 512, 513, 514, 515, 531),
})  # fmt: skip
"""Those of exactly one value; Pillow warns of more."""
TYPE_BYTES = dict.fromkeys((1, 2, 6, 7), 1) | dict.fromkeys((3, 8), 2)
TYPE_BYTES |= dict.fromkeys((4, 9, 11, 13), 4) | dict.fromkeys((5, 10, 12, 16, 17, 18), 8)
NUMBER_CODES = {1: "B", 3: "H", 4: "I", 16: "Q"}
MODES = {0: "L", 1: "L", 2: "RGB", 3: "P", 5: "CMYK", 6: "YCbCr", 8: "LAB", 9: "LAB"}
COMPRESSIONS = {
    1: "raw",
    5: "tiff_lzw",
    8: "tiff_adobe_deflate",
    32773: "packbits",
    32946: "tiff_adobe_deflate",
    34925: "lzma",
    50000: "zstd",
}
"""Those without loss that Pillow writes, by their number in the file."""
DEFAULT_COMPRESSION = "tiff_lzw"  # 0.6 s for 12 megapixels; deflate takes 1.3 s, 13 % smaller
PREDICTED = frozenset({"tiff_lzw", "tiff_adobe_deflate", "lzma", "zstd"})
MAX_TILE_PIXELS = 4096**2  # A tile may exceed its picture; this is beyond any in use.
CM_PER_INCH = 2.54


@dataclass(frozen=True, slots=True)
class _Entry:
    """One field of a directory."""

    kind: int
    count: int
    at: int  # offset of the first value
    raw: bytes


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a classic TIFF and a BigTIFF differ."""

    order: str
    big: bool

    @property
    def entry(self) -> struct.Struct:
        return struct.Struct(self.order + ("HHQ" if self.big else "HHI"))

    @property
    def inline_bytes(self) -> int:
        return 8 if self.big else 4

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def count(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "H"))


class _Directory:
    """The first directory of a file."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self.layout = _Layout("<" if view[0] == ord("I") else ">", b"+" in bytes(view[2:4]))
        (self.at,) = struct.unpack_from(self.layout.offset, view, 8 if self.layout.big else 4)
        (count,) = self.layout.count.unpack_from(view, self.at)
        if count > 4096:  # Real files have a few dozen fields.
            raise ImageDecodeError(f"The TIFF has {count} fields; save it anew.")
        size = self.layout.entry.size + self.layout.inline_bytes
        start = self.at + self.layout.count.size
        self.end = start + count * size + self.layout.inline_bytes
        self.entries: dict[int, _Entry] = {}
        for at in range(start, start + count * size, size):
            self._add(at, bytes(view[at : at + size]))

    def _add(self, at: int, raw: bytes) -> None:
        """Keep the first field of a tag, if its values lie inside the file and are not too many."""
        tag, kind, count = self.layout.entry.unpack_from(raw)
        size = TYPE_BYTES.get(kind, 1) * count
        value_at = at + self.layout.entry.size
        if size > self.layout.inline_bytes:
            (value_at,) = struct.unpack_from(self.layout.offset, self._view, value_at)
        is_sound = value_at + size <= len(self._view) and (count == 1 or tag not in SINGLE_TAGS)
        if is_sound:
            self.entries.setdefault(tag, _Entry(kind, count, value_at, raw))

    def number(self, tag: int, default: int) -> int:
        """The first value of an integer field."""
        entry = self.entries.get(tag)
        code = NUMBER_CODES.get(entry.kind) if entry and entry.count else None
        if entry is None or code is None:
            return default
        return int(struct.unpack_from(self.layout.order + code, self._view, entry.at)[0])

    def ratio(self, tag: int) -> float:
        """The value of a RATIONAL field, 0 without one."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind != 5 or not entry.count:
            return 0.0
        above, below = struct.unpack_from(self.layout.order + "II", self._view, entry.at)
        return above / below if below else 0.0

    def bytes_of(self, tag: int, limit: int) -> bytes | None:
        """The bytes of a BYTE or UNDEFINED field of at most `limit` of them."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in (1, 7) or not 0 < entry.count <= limit:
            return None
        return bytes(self._view[entry.at : entry.at + entry.count])

    def pixel_parts(self) -> tuple[memoryview, bytes, memoryview]:
        """The file with a directory of PIXEL_TAGS only, and without further pages."""
        kept = [entry.raw for tag, entry in sorted(self.entries.items()) if tag in PIXEL_TAGS]
        table = self.layout.count.pack(len(kept)) + b"".join(kept)
        table = table.ljust(self.end - self.at, b"\0")  # zeros: there is no next directory
        return self._view[: self.at], table, self._view[self.end :]


def read(view: memoryview) -> Source:
    """Take a TIFF apart. Only the first page is kept."""
    directory = _Directory(view)
    size = directory.number(HEIGHT, 0), directory.number(WIDTH, 0)
    bits = directory.number(BITS, 1)
    photometric = directory.number(PHOTOMETRIC, 1)
    _check_layout(directory, size)
    mode = MODES.get(photometric, "L")
    if mode == "L":
        alpha = directory.number(SAMPLES, 1) == 2
        mode = "LA" if alpha else {1: "1", 16: "I;16", 32: "I"}.get(bits, "L")
    orientation = directory.number(ORIENTATION, 1)
    metadata = Metadata(
        icc_profile=directory.bytes_of(PROFILE, MAX_PROFILE_BYTES),
        dpi=_dpi(directory),
        tiff_compression=COMPRESSIONS.get(directory.number(COMPRESSION, 1)),
    )
    header = Header(Format.TIFF, size, mode)
    upright = orientation if 1 <= orientation <= 8 else 1
    return Source(header, metadata, directory.pixel_parts(), upright, bits=bits)


def _check_layout(directory: _Directory, size: tuple[int, int]) -> None:
    """Refuse what Pillow would decode into something else than the picture."""
    tile = directory.number(TILE_WIDTH, 0) * directory.number(TILE_HEIGHT, 0)
    if tile > max(size[0] * size[1], MAX_TILE_PIXELS):
        raise ImageDecodeError(f"The TIFF has tiles of {tile} px; save it anew.")
    inverted = directory.number(PHOTOMETRIC, 1) == 0
    if inverted and directory.number(BITS, 1) > 8:
        raise ImageDecodeError(
            "The TIFF stores 16-bit grey with white as zero; save it with black as zero."
        )


def _dpi(directory: _Directory) -> tuple[float, float] | None:
    factor = {2: 1.0, 3: CM_PER_INCH}.get(directory.number(RESOLUTION_UNIT, 2))
    across, down = directory.ratio(X_RESOLUTION), directory.ratio(Y_RESOLUTION)
    if factor is None or not across or not down:
        return None
    return across * factor, down * factor


def write(image: Image, alpha: Alpha | None, metadata: Metadata) -> bytes:
    """A TIFF of 8 bits a sample, compressed without loss as the input was."""
    compression = metadata.tiff_compression or DEFAULT_COMPRESSION
    # Predictor 2, differences along the row, halves the size of photographs.
    tags = {PREDICTOR: 2} if compression in PREDICTED else {}
    buffer = io.BytesIO()
    PillowImage.fromarray(joined(image, alpha)).save(
        buffer,
        "TIFF",
        compression=compression,
        tiffinfo=tags,
        icc_profile=metadata.profile_of(b"RGB "),
        **({"dpi": metadata.dpi} if metadata.dpi else {}),
    )
    return buffer.getvalue()
