"""Masks: IOPaint's rule on every kind of file."""

import io

import numpy as np
import pytest
from PIL import Image

from inpaint.codecs import decode_mask
from tests.unit.codec_pictures import (
    LIMITS,
    picture_of,
    saved,
)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_mask_is_what_pillow_calls_grey_above_127(mode):
    data = saved(picture_of(mode), "PNG")
    grey = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    mask = decode_mask(data, LIMITS)
    np.testing.assert_array_equal(mask, np.where(grey > 127, 255, 0))
    assert mask.dtype == np.uint8


def test_mask_of_a_canvas_marks_its_strokes():
    canvas = np.zeros((6, 8, 4), np.uint8)
    canvas[2:4, 1:5] = (0xFF, 0xCC, 0x00, 0xBB)
    mask = decode_mask(saved(Image.fromarray(canvas), "PNG"), LIMITS)
    np.testing.assert_array_equal(mask == 255, canvas[..., 3] > 0)


def test_mask_of_16_bits_is_thresholded_at_its_half():
    grey = np.array([[0, 300, 32767, 32768, 65535]], np.uint16)
    mask = decode_mask(saved(Image.fromarray(grey), "PNG"), LIMITS)
    assert mask.tolist() == [[0, 0, 0, 255, 255]]


def test_mask_with_palette_alphas_ignores_them_without_a_warning():
    paletted = picture_of("P")
    data = saved(paletted, "PNG", transparency=bytes(range(0, 256, 17)))
    expected = decode_mask(saved(paletted, "PNG"), LIMITS)
    np.testing.assert_array_equal(decode_mask(data, LIMITS), expected)


def test_mask_from_jpeg_is_turned_and_thresholded():
    exif = Image.Exif()
    exif[0x0112] = 6
    half = np.zeros((16, 32, 3), np.uint8)
    half[:, :16] = 255
    mask = decode_mask(saved(Image.fromarray(half), "JPEG", exif=exif), LIMITS)
    assert mask.shape == (32, 16)
    assert (mask[:14] == 255).all()
    assert (mask[18:] == 0).all()
