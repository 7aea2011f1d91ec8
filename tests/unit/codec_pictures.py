"""Pictures and files that the tests of the codecs share."""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from inpaint.codecs import Limits

LIMITS = Limits(1_000_000)
RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (13, 17, 4), np.uint8)
SMOOTH = cv2.resize(RNG.integers(0, 256, (5, 7, 3), np.uint8), (67, 45))


def saved(picture, format, **options):
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def rgb_of(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def rgba_of(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def png_of(size, bits, colour, rows, *extra):
    """A PNG written by hand, for what Pillow does not write."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", size[1], size[0], bits, colour, 0, 0, 0)
    raw = b"".join(b"\0" + row for row in rows)
    chunks = [(b"IHDR", head), *extra, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*pair) for pair in chunks)


def picture_of(mode):
    noise = Image.fromarray(NOISE)
    if mode == "PA":
        return noise.convert("RGB").quantize(16).convert("PA")
    return noise.convert("RGB").quantize(16) if mode == "P" else noise.convert(mode)
