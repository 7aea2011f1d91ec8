"""JPEG: the fast decoder against Pillow, and CMYK."""

import io
import struct

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageCms

from inpaint.codecs import decode
from tests.unit.codec_pictures import (
    LIMITS,
    SMOOTH,
    picture_of,
    rgb_of,
    saved,
)

JPEGS = [
    *({"subsampling": s, "progressive": p} for s in (0, 1, 2) for p in (False, True)),
    {"restart_marker_rows": 1},
    {"optimize": True, "quality": 30},
    {"keep_rgb": True, "subsampling": 0},
]


@pytest.mark.parametrize("options", JPEGS, ids=str)
@pytest.mark.parametrize("size", [(45, 67), (1, 1), (1, 33), (33, 1)])
def test_jpeg_decodes_to_the_bytes_that_pillow_decodes(options, size):
    data = saved(Image.fromarray(SMOOTH[: size[0], : size[1]]), "JPEG", **options)
    expected = rgb_of(data)
    for given in (data, memoryview(data)):
        np.testing.assert_array_equal(decode(given, LIMITS).image, expected)


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411", "Gray"])
def test_jpeg_subsampling_is_recognised_and_decoded_as_pillow_does(subsampling):
    data = simplejpeg.encode_jpeg(SMOOTH, 80, "RGB", subsampling)
    picture = decode(data, LIMITS)
    assert picture.metadata.subsampling == subsampling
    np.testing.assert_array_equal(picture.image, rgb_of(data))


def test_jpeg_with_junk_between_segments_is_read_as_by_pillow():
    data = saved(Image.fromarray(SMOOTH), "JPEG")
    junk = data[:20] + b"\0\0\xff\xff" + data[20:]
    np.testing.assert_array_equal(decode(junk, LIMITS).image, rgb_of(data))


def test_cmyk_jpeg_without_profile_is_converted_by_the_plain_formula():
    data = saved(picture_of("RGB").convert("CMYK"), "JPEG", quality=95)
    picture = decode(data, LIMITS)
    np.testing.assert_array_equal(picture.image, rgb_of(data))
    assert (picture.metadata.icc_profile, picture.metadata.subsampling) == (None, None)


def test_broken_cmyk_profile_falls_back_to_the_plain_formula():
    profile = bytes(16) + b"CMYK" + bytes(200)
    data = saved(picture_of("RGB").convert("CMYK"), "JPEG", icc_profile=profile)
    picture = decode(data, LIMITS)
    np.testing.assert_array_equal(picture.image, rgb_of(data))
    assert picture.metadata.icc_profile is None


def cmyk_profile():
    """A printer profile whose table has two points an axis: ink darkens, cyan shifts to green."""
    inks = np.indices((2, 2, 2, 2)).reshape(4, -1).T
    light = 255 - 60 * inks[:, :3].sum(1) - 70 * inks[:, 3]
    lab = np.stack((light, 128 - 40 * inks[:, 0], 128 + 40 * inks[:, 2]), 1).astype(np.uint8)
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * value for value in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table = b"mft1" + bytes((0, 0, 0, 0, 4, 3, 2, 0)) + matrix + 4 * ramp + lab.tobytes() + 3 * ramp
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    start = struct.pack(">I4xI", 144 + len(table), 0x02400000)
    head = start + b"prtrCMYKLab " + bytes(12) + b"acsp"
    white = struct.pack(">3i", 63190, 65536, 54061)
    return (head.ljust(68, b"\0") + white).ljust(128, b"\0") + tags + table


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_profile_is_applied_and_dropped(format):
    data = saved(picture_of("RGB").convert("CMYK"), format, icc_profile=cmyk_profile())
    picture = decode(data, LIMITS)
    source = ImageCms.ImageCmsProfile(io.BytesIO(cmyk_profile()))
    expected = ImageCms.profileToProfile(
        Image.open(io.BytesIO(data)), source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    np.testing.assert_array_equal(picture.image, np.asarray(expected))
    assert picture.metadata.icc_profile is None
    assert not np.array_equal(picture.image, rgb_of(data))
