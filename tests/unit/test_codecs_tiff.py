"""TIFF: what its tags can say about the samples."""

import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from inpaint.codecs import decode
from inpaint.errors import ImageDecodeError
from tests.unit.codec_pictures import (
    LIMITS,
    NOISE,
    SMOOTH,
    saved,
)


def test_16_bit_grey_big_endian_tiff_is_read():
    grey = np.array([[0x0102, 0xFF00]], ">u2")
    data = saved(Image.frombytes("I;16B", (2, 1), grey.tobytes()), "TIFF")
    assert decode(data, LIMITS).image[0, :, 0].tolist() == [1, 255]


def test_white_is_zero_tiff_of_8_bits_is_inverted_and_of_16_refused():
    plain = saved(Image.fromarray(NOISE[..., 0]), "TIFF")
    inverted = plain.replace(struct.pack("<HHII", 262, 3, 1, 1), struct.pack("<HHII", 262, 3, 1, 0))
    np.testing.assert_array_equal(decode(inverted, LIMITS).image[..., 0], 255 - NOISE[..., 0])
    wide = saved(Image.fromarray(NOISE[..., 0].astype(np.uint16)), "TIFF")
    wide = wide.replace(struct.pack("<HHII", 262, 3, 1, 1), struct.pack("<HHII", 262, 3, 1, 0))
    with pytest.raises(ImageDecodeError, match="white as zero"):
        decode(wide, LIMITS)


def test_big_tiff_is_read_with_its_orientation_and_density():
    options = {"big_tiff": True, "tiffinfo": {274: 3}, "dpi": (90, 80)}
    data = saved(Image.fromarray(SMOOTH), "TIFF", **options)
    assert data[2] == 43
    picture = decode(data, LIMITS)
    np.testing.assert_array_equal(picture.image, SMOOTH[::-1, ::-1])
    assert (picture.metadata.dpi, picture.turned) == ((90.0, 80.0), True)


@pytest.mark.parametrize("predictor", [1, 2])
def test_tiff_of_several_strips_written_by_opencv_is_read(predictor):
    options = [cv2.IMWRITE_TIFF_COMPRESSION, 5, cv2.IMWRITE_TIFF_ROWSPERSTRIP, 4]
    options += [cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    _, data = cv2.imencode(".tiff", SMOOTH[..., ::-1], options)
    np.testing.assert_array_equal(decode(data.tobytes(), LIMITS).image, SMOOTH)
