"""Bytes to pictures and masks."""

import math
from dataclasses import replace

import numpy as np
from PIL import Image as PillowImage

from inpaint.arrays import Alpha, Image, Mask
from inpaint.codecs import jpeg, pixels
from inpaint.codecs.headers import SIDEWAYS_FROM, check_size, take_apart
from inpaint.codecs.picture import Format, Limits, Metadata, Picture
from inpaint.codecs.source import Source, foreign_errors_named
from inpaint.masks import binarize

PICTURE_BYTES = 8
"""For each pixel: RGB, alpha, the copy of RGB that is painted on, and a mask that is made."""
GREY_BYTES = 2
"""For each pixel of a mask: as it came, and as holes."""
EMBEDDABLE = (b"RGB ", b"GRAY")  # colour spaces of ICC.1 that our outputs can have


def decode(data: bytes | memoryview, limits: Limits) -> Picture:
    """Read a picture, upright.

    The size is checked before any pixel is decoded. Of animations and of files with several
    pages the first is read. docs/pictures.md lists what becomes of every mode.

    Raises:
        ImageDecodeError: no picture, damaged, or samples that are not read here.
        ImageTooLargeError: more pixels than `limits` allow.
        Exception: `limits.take` found no room for them.
    """
    source = take_apart(data)
    check_size(source.header, limits)
    limits.take(PICTURE_BYTES * math.prod(source.header.size))
    with foreign_errors_named(source.header.format.upper()):
        image, alpha = _decoded(data, source)
        if source.orientation in pixels.TURNS:
            image = pixels.upright(image, source.orientation)
            alpha = None if alpha is None else pixels.upright(alpha, source.orientation)
    turned = source.orientation in pixels.TURNS
    return Picture(image, alpha, source.header.format, _carried(source), turned)


def decode_mask(data: bytes | memoryview, limits: Limits) -> Mask:
    """Read a mask by IOPaint's rule: a hole where `decode_grey` is above 127.

    Returns:
        (H, W) uint8: 255 is repainted, 0 is kept.

    Raises:
        ImageDecodeError: no picture, damaged, or samples that are not read here.
        ImageTooLargeError: more pixels than `limits` allow.
        Exception: `limits.take` found no room for them.
    """
    return binarize(decode_grey(data, limits))


def decode_grey(data: bytes | memoryview, limits: Limits) -> Mask:
    """Read a picture upright and as its brightness, (H, W) uint8; see `decode_mask` for errors.

    Alpha is not looked at: on a canvas of transparent black the strokes are what is bright.
    """
    source = take_apart(data)
    check_size(source.header, limits)
    limits.take(GREY_BYTES * math.prod(source.header.size))
    with foreign_errors_named(source.header.format.upper()):
        return pixels.upright(_grey(data, source), source.orientation)


def _fast_jpeg(data: bytes | memoryview, source: Source) -> Image | None:
    is_fast = source.header.format is Format.JPEG and source.header.mode != "CMYK"
    return jpeg.decode_fast(data, source.header) if is_fast else None


def _decoded(data: bytes | memoryview, source: Source) -> tuple[Image, Alpha | None]:
    fast = _fast_jpeg(data, source)
    if fast is not None:
        return fast, None
    picture = pixels.load(source)
    image, alpha = pixels.rgb_and_alpha(picture, source.metadata.icc_profile)
    if source.colour_key is not None:
        alpha = _key_alpha(picture, image, source.colour_key, source.bits)
    return image, alpha


def _key_alpha(picture: PillowImage.Image, image: Image, key: tuple[int, ...], bits: int) -> Alpha:
    """The alpha of a PNG whose transparent colour is named: `key`, in samples of `bits`."""
    if pixels.is_16_bit(picture):
        return pixels.key_alpha(np.asarray(picture), key)
    scaled = [value >> 8 if bits == 16 else value * 255 // (2**bits - 1) for value in key]
    return pixels.key_alpha(image, tuple(scaled * (3 // len(scaled))))


def _grey(data: bytes | memoryview, source: Source) -> Mask:
    fast = _fast_jpeg(data, source)
    picture = pixels.load(source) if fast is None else PillowImage.fromarray(fast)
    if pixels.is_16_bit(picture):
        return pixels.high_byte(np.asarray(picture))
    if picture.mode in ("I", "F", "LAB"):
        raise pixels.unreadable_mode(picture)
    # Pillow would warn that converting a palette with alphas to grey loses them: so it should.
    picture.info.pop("transparency", None)
    return np.asarray(picture if picture.mode == "L" else picture.convert("L"))


def _carried(source: Source) -> Metadata:
    """The metadata that still holds for the decoded picture."""
    metadata = source.metadata
    if metadata.icc_profile and metadata.icc_profile[16:20] not in EMBEDDABLE:
        metadata = replace(metadata, icc_profile=None)
    if metadata.dpi and source.orientation >= SIDEWAYS_FROM:
        metadata = replace(metadata, dpi=metadata.dpi[::-1])
    return metadata
