"""JPEG files: segments in, segments out (ITU-T T.81, JFIF 1.02, ICC.1 annex B.4)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import simplejpeg

from inpaint.arrays import Alpha, Image
from inpaint.codecs import exif
from inpaint.codecs.picture import Format, Header, Metadata
from inpaint.codecs.source import MAX_PROFILE_BYTES, Source
from inpaint.errors import ImageDecodeError

SIGNATURE = b"\xff\xd8\xff"
START = b"\xff\xd8"
SOS, APP0, APP1, APP2, APP14, COM = 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
MAX_SEGMENTS = 10_000  # 15 times what 40 MB of extended XMP take
MAX_JUNK_BYTES = 4096  # between two segments; libjpeg skips any number
JFIF_END = 20  # SOI and the APP0 segment that libjpeg-turbo writes
ICC_PREFIX = b"ICC_PROFILE\0"
ICC_PART_BYTES = 65_519  # 65,533 less the prefix and two counters
CM_PER_INCH = 2.54
MODES = {1: "L", 3: "RGB", 4: "CMYK"}
SUBSAMPLINGS = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411"}
SAMPLING_FACTORS = {
    "444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "422": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "420": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "440": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
    "411": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
}
FULL_CHROMA_QUALITY = 90
"""From here up a picture that was no JPEG keeps its full colour resolution. On a noisy photograph
"420" saves a third of the bytes; at quality 75 that costs 0.4 dB, at 98 it costs 5 dB."""


@dataclass(slots=True)
class _Found:
    """What the walk over the segments collects."""

    header: Header | None = None
    metadata: Metadata = field(default_factory=Metadata)
    orientation: int = 1
    profile: dict[int, bytes] = field(default_factory=dict)
    profile_parts: int = 0
    parts: list[bytes | memoryview] = field(default_factory=lambda: [START])


def read(view: memoryview) -> Source:
    """Take a JPEG apart, up to its first scan."""
    found = _Found()
    scan = len(view)
    for marker, at, body in _segments(view):
        _collect(found, marker, body)
        scan = at
    if found.header is None:
        raise ImageDecodeError("The JPEG has no frame header; send the whole file.")
    metadata = replace(found.metadata, icc_profile=_joined_profile(found))
    return Source(found.header, metadata, (*found.parts, view[scan:]), found.orientation)


def _segments(view: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Marker, offset and body (without its length) of every segment up to the first SOS."""
    at = len(START)
    for _ in range(MAX_SEGMENTS):
        at = _next_marker(view, at)
        marker = view[at + 1]
        length = 0 if marker in ALONE else struct.unpack_from(">H", view, at + 2)[0]
        yield marker, at, view[at + 4 : at + 2 + length]
        if marker == SOS:
            return
        at += 2 + length
    raise ImageDecodeError(f"The JPEG has more than {MAX_SEGMENTS} segments; save it anew.")


def _next_marker(view: memoryview, at: int) -> int:
    """Offset of the next 0xFF that is followed by a marker; fill bytes are skipped."""
    near = bytes(view[at : at + MAX_JUNK_BYTES])
    step = near.find(b"\xff")
    while step >= 0 and near[step + 1 : step + 2] in (b"\xff", b"\0"):
        step = near.find(b"\xff", step + 1)
    if step < 0:
        raise ImageDecodeError("The JPEG breaks off in its header; send the whole file.")
    return at + step


def _collect(found: _Found, marker: int, body: memoryview) -> None:
    if marker in FRAMES:
        _take_frame(found, body)
    elif marker == APP0:
        found.metadata = _with_density(found.metadata, body)
    elif marker == APP1 and found.metadata.exif is None and bytes(body[:6]) == exif.PREFIX:
        block, found.orientation = exif.tidy(body)
        found.metadata = replace(found.metadata, exif=block)
    elif marker == APP2 and bytes(body[: len(ICC_PREFIX)]) == ICC_PREFIX:
        number, found.profile_parts = body[12], body[13]
        found.profile[number] = bytes(body[14:])
    needed = marker == APP14 or not (marker >= APP0 or marker in ALONE)
    if needed and marker != SOS:
        found.parts += (struct.pack(">BBH", 0xFF, marker, len(body) + 2), body)


def _take_frame(found: _Found, body: memoryview) -> None:
    precision, height, width, components = struct.unpack_from(">BHHB", body)
    if precision != 8:
        raise ImageDecodeError(f"The JPEG has {precision} bits a sample; save it with 8.")
    found.header = Header(Format.JPEG, (height, width), MODES[components])
    factors = [(body[7 + 3 * i] >> 4, body[7 + 3 * i] & 15) for i in range(components)]
    found.metadata = replace(found.metadata, subsampling=_subsampling(factors))


def _subsampling(factors: list[tuple[int, int]]) -> str | None:
    """The name of the sampling factors (horizontal, vertical) of one or three components."""
    if len(factors) == 1:
        return "Gray"
    (across, down), *rest = factors
    if len(factors) != 3 or rest[0] != rest[1] or 0 in rest[0]:
        return None
    return SUBSAMPLINGS.get((across // rest[0][0], down // rest[0][1]))


def _with_density(metadata: Metadata, body: memoryview) -> Metadata:
    if bytes(body[:5]) != b"JFIF\0" or len(body) < 12:
        return metadata
    unit, across, down = struct.unpack_from(">BHH", body, 7)
    factor = {1: 1.0, 2: CM_PER_INCH}.get(unit)  # 0 gives the pixels' shape only
    if factor is None or not across or not down:
        return metadata
    return replace(metadata, dpi=(across * factor, down * factor))


def _joined_profile(found: _Found) -> bytes | None:
    """The profile of all its segments, None if one is missing."""
    numbers = range(1, found.profile_parts + 1)
    if not numbers or any(number not in found.profile for number in numbers):
        return None
    profile = b"".join(found.profile[number] for number in numbers)
    return profile if len(profile) <= MAX_PROFILE_BYTES else None


def decode_fast(data: bytes | memoryview, header: Header) -> Image | None:
    """Decode a grey or YCbCr JPEG, in half of Pillow's time and to the same bytes.

    Returns:
        (H, W, 3) uint8 RGB; None if libjpeg-turbo has any complaint: Pillow then judges
        whether the file is readable.
    """
    image = np.empty((*header.size, 3), np.uint8)
    try:
        decoded: Image = simplejpeg.decode_jpeg(data, "RGB", buffer=image)
    except ValueError:
        return None
    return decoded if decoded.shape == image.shape else None


def write(image: Image, alpha: Alpha | None, metadata: Metadata, quality: int) -> bytes:
    """A baseline JPEG. JPEG holds no alpha: the picture is laid over white."""
    if alpha is not None:
        image = _over_white(image, alpha)
    chosen = "444" if quality >= FULL_CHROMA_QUALITY else "420"
    subsampling = metadata.subsampling or chosen
    is_grey = subsampling == "Gray"
    samples = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY if is_grey else cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    if not is_grey:
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLING_FACTORS[subsampling]]
    # As fast as simplejpeg, which below quality 96 takes libjpeg's inexact transform: at 95 that
    # costs 0.3 dB and makes the file 4 % larger (simplejpeg 1.9, its `fastdct` changes nothing).
    _, encoded = cv2.imencode(".jpg", samples, options)
    view = memoryview(encoded.data)
    profile = metadata.profile_of(b"GRAY" if is_grey else b"RGB ")
    segments = _metadata_segments(metadata.exif, profile)
    return b"".join((_jfif_head(bytes(view[:JFIF_END]), metadata), *segments, view[JFIF_END:]))


def _over_white(image: Image, alpha: Alpha) -> Image:
    if alpha.min() == 255:
        return image
    opacity = cv2.cvtColor(alpha, cv2.COLOR_GRAY2BGR)
    # White's share is a whole number, so only the picture's share is rounded.
    seen = cv2.multiply(image, opacity, scale=1 / 255)
    return np.asarray(cv2.add(seen, cv2.bitwise_not(opacity)), np.uint8)


def _jfif_head(head: bytes, metadata: Metadata) -> bytes:
    """SOI and APP0, with the density if there is one."""
    if not metadata.dpi:
        return head
    across, down = (min(max(round(dots), 1), 65_535) for dots in metadata.dpi)
    return head[:13] + struct.pack(">BHH", 1, across, down) + head[18:]


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _metadata_segments(block: bytes | None, profile: bytes | None) -> Iterator[bytes]:
    if block:
        yield _segment(APP1, exif.PREFIX + block)
    if not profile:
        return
    starts = range(0, len(profile), ICC_PART_BYTES)
    for number, start in enumerate(starts, 1):
        counters = bytes((number, len(starts)))
        yield _segment(APP2, ICC_PREFIX + counters + profile[start : start + ICC_PART_BYTES])
