"""The example picture: read, bounded, and named in errors."""

import io

import numpy as np
import pytest
from PIL import Image

from inpaint.codecs import Limits
from inpaint.errors import ImageDecodeError, ImageTooLargeError, ParamsError
from inpaint.examples import EXAMPLE, bounded, check_example, decode_example, reads_example
from tests.conftest import png
from tests.fakes import fake_spec

LIMITS = Limits(max_pixels=10**7)


def seen_by_clip(picture):
    """(224, 224, 3): shorter side to 224, bicubic, and the middle of that."""
    scale = 224 / min(picture.size)
    width, height = (max(224, round(side * scale)) for side in picture.size)
    left, top = (width - 224) // 2, (height - 224) // 2
    small = picture.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(small.crop((left, top, left + 224, top + 224))).astype(int)


def test_a_small_one_comes_as_it_is(rng):
    image = rng.integers(0, 256, (70, 1000, 3), np.uint8)
    np.testing.assert_array_equal(decode_example(png(image), LIMITS), image)


def test_alpha_is_left_out_and_grey_becomes_rgb(rng):
    rgba = rng.integers(0, 256, (9, 7, 4), np.uint8)
    np.testing.assert_array_equal(decode_example(png(rgba), LIMITS), rgba[..., :3])
    grey = rng.integers(0, 256, (9, 7), np.uint8)
    np.testing.assert_array_equal(decode_example(png(grey), LIMITS), np.dstack([grey] * 3))


def test_it_is_turned_upright(rng):
    image = rng.integers(0, 256, (9, 7, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", exif=exif)
    np.testing.assert_array_equal(decode_example(buffer.getvalue(), LIMITS), np.rot90(image, -1))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1024, 1024), (1024, 1024)),
        ((300, 4000), (300, 4000)),
        ((448, 9000), (448, 9000)),
        ((1500, 2000), (768, 1024)),
        ((4000, 3000), (1024, 768)),
        ((896, 8000), (448, 4000)),
        ((1, 1), (1, 1)),
    ],
)
def test_no_side_is_larger_than_need_be(size, expected):
    assert bounded(size) == expected


@pytest.mark.parametrize("size", [(1500, 2000), (1000, 6000)])
def test_what_the_encoder_sees_hardly_changes(rng, size):
    patches = rng.integers(0, 256, (size[0] // 20, size[1] // 20, 3), np.uint8)
    image = patches.repeat(20, axis=0).repeat(20, axis=1)
    shrunk = decode_example(png(image), LIMITS)
    assert shrunk.shape[:2] == bounded(size)
    before, after = (seen_by_clip(Image.fromarray(picture)) for picture in (image, shrunk))
    assert np.abs(before - after).mean() < 1


@pytest.mark.parametrize(
    ("data", "limits", "error"),
    [
        (b"no picture", LIMITS, ImageDecodeError),
        (png(np.zeros((9, 9, 3), np.uint8))[:60], LIMITS, ImageDecodeError),
        (png(np.zeros((9, 9, 3), np.uint8)), Limits(max_pixels=80), ImageTooLargeError),
    ],
)
def test_errors_name_the_field(data, limits, error):
    with pytest.raises(error, match=f"^{EXAMPLE}: "):
        decode_example(data, limits)


def test_only_a_model_that_reads_one_needs_one():
    shower = fake_spec("shower", kind="diffusion", reads=[EXAMPLE])
    painter = fake_spec("painter", kind="diffusion", reads=["prompt"])
    assert (reads_example(shower), reads_example(painter)) == (True, False)
    check_example(shower, has_example=True)
    check_example(painter, has_example=False)
    with pytest.raises(ParamsError, match=f"'shower' .* '{EXAMPLE}'"):
        check_example(shower, has_example=False)
