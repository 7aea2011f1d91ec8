"""What comes in: every mode of every format, against Pillow's own reading of it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from inpaint.codecs import Format, decode, decode_mask, read_header
from inpaint.errors import ImageDecodeError
from tests.unit.codec_pictures import (
    LIMITS,
    NOISE,
    RNG,
    SMOOTH,
    picture_of,
    png_of,
    rgb_of,
    rgba_of,
    saved,
)

OPAQUE = [
    *(("PNG", mode) for mode in ("1", "L", "P", "RGB")),
    *(("BMP", mode) for mode in ("1", "L", "P", "RGB")),
    *(("TIFF", mode) for mode in ("1", "L", "P", "RGB", "CMYK", "YCbCr", "RGBX")),
    *(("JPEG", mode) for mode in ("L", "RGB", "CMYK")),
    *(("GIF", mode) for mode in ("1", "L", "P", "RGB")),
    ("WEBP", "RGB"),
]


@pytest.mark.parametrize(("format", "mode"), OPAQUE)
def test_opaque_mode_decodes_as_pillow_converts_it(format, mode):
    data = saved(picture_of(mode), format)
    picture = decode(data, LIMITS)
    np.testing.assert_array_equal(picture.image, rgb_of(data))
    assert (picture.image.dtype, picture.image.flags.c_contiguous) == (np.uint8, True)
    assert picture.alpha is None
    assert (picture.format.upper(), picture.turned) == (format, False)
    assert read_header(data).size == NOISE.shape[:2]


@pytest.mark.parametrize(
    ("format", "mode"),
    [("PNG", "LA"), ("PNG", "RGBA"), ("TIFF", "LA"), ("TIFF", "RGBA"), ("WEBP", "RGBA")],
)
def test_alpha_mode_keeps_colours_and_alpha(format, mode):
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    data = saved(picture_of(mode), format, **options)
    picture = decode(data, LIMITS)
    expected = rgba_of(data)
    np.testing.assert_array_equal(picture.image, expected[..., :3])
    np.testing.assert_array_equal(picture.alpha, expected[..., 3])
    np.testing.assert_array_equal(picture.alpha, NOISE[..., 3])


@pytest.mark.parametrize("transparency", [3, bytes(range(0, 256, 17))])
def test_palette_transparency_becomes_alpha(transparency):
    data = saved(picture_of("P"), "PNG", transparency=transparency)
    picture = decode(memoryview(data), LIMITS)
    expected = rgba_of(data)
    np.testing.assert_array_equal(picture.image, expected[..., :3])
    np.testing.assert_array_equal(picture.alpha, expected[..., 3])
    assert picture.alpha.min() < 255


def test_colour_key_becomes_alpha():
    pixels = NOISE[..., :3].copy()
    pixels[2, 3] = pixels[4, 5] = (10, 20, 30)
    picture = decode(saved(Image.fromarray(pixels), "PNG", transparency=(10, 20, 30)), LIMITS)
    np.testing.assert_array_equal(picture.image, pixels)
    np.testing.assert_array_equal(picture.alpha == 0, (pixels == (10, 20, 30)).all(-1))


@pytest.mark.parametrize(
    ("bits", "row", "key", "alpha"),
    [
        (1, b"\x50", 1, [255, 0, 255, 0]),
        (2, b"\x1b", 2, [255, 255, 0, 255]),
        (4, b"\x0f\x70", 15, [255, 0, 255, 255]),
        (8, bytes((1, 2, 3, 4)), 3, [255, 255, 0, 255]),
        (16, struct.pack(">4H", 512, 513, 514, 512), 513, [255, 0, 255, 255]),
    ],
)
def test_grey_colour_key_is_exact_at_every_depth(bits, row, key, alpha):
    data = png_of((1, 4), bits, 0, [row], (b"tRNS", struct.pack(">H", key)))
    assert decode(data, LIMITS).alpha.tolist() == [alpha]


def test_colour_key_of_16_bit_rgb_goes_by_high_bytes():
    row = struct.pack(">6H", 0xFFFF, 0xFFFF, 0xFFFF, 0x1234, 0xFFFF, 0xFFFF)
    data = png_of((1, 2), 16, 2, [row], (b"tRNS", struct.pack(">3H", 65535, 65535, 65535)))
    assert decode(data, LIMITS).alpha.tolist() == [[0, 255]]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_the_high_byte(format):
    grey = np.array([[0, 255, 256, 32768, 65279, 65535]], np.uint16)
    picture = decode(saved(Image.fromarray(grey), format), LIMITS)
    assert picture.image[0, :, 0].tolist() == [0, 0, 1, 128, 254, 255]


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16_bit_colour_keeps_the_high_byte(channels):
    wide = RNG.integers(0, 65536, (5, 6, channels), np.uint16)
    rows = [row.astype(">u2").tobytes() for row in wide]
    colour = {2: 4, 3: 2, 4: 6}[channels]
    picture = decode(png_of((5, 6), 16, colour, rows), LIMITS)
    high = (wide >> 8).astype(np.uint8)
    colours = high[..., :1] if channels == 2 else high[..., :3]
    np.testing.assert_array_equal(picture.image, np.broadcast_to(colours, (5, 6, 3)))
    if channels != 3:
        np.testing.assert_array_equal(picture.alpha, high[..., -1])


def test_8_bit_values_widened_to_16_come_back_unchanged():
    grey = np.arange(256, dtype=np.uint16)[None] * 257
    picture = decode(saved(Image.fromarray(grey), "PNG"), LIMITS)
    assert picture.image[0, :, 0].tolist() == list(range(256))


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_mode_without_an_agreed_range_is_refused(mode):
    data = saved(Image.new(mode, (3, 2)), "TIFF")
    with pytest.raises(ImageDecodeError, match="8 or 16 bits"):
        decode(data, LIMITS)
    with pytest.raises(ImageDecodeError):
        decode_mask(data, LIMITS)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_orientation_is_applied_as_pillow_does_and_not_kept(format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    data = saved(Image.fromarray(SMOOTH), format, exif=exif, **options)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    picture = decode(data, LIMITS)
    np.testing.assert_array_equal(picture.image, np.asarray(expected.convert("RGB")))
    assert picture.turned == (orientation != 1)
    assert read_header(data).size == SMOOTH.shape[:2]
    if picture.metadata.exif:
        kept = Image.Exif()
        kept.load(picture.metadata.exif)
        assert 0x0112 not in kept


def test_orientation_turns_alpha_and_density_along():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(NOISE), "PNG", exif=exif, dpi=(100, 200))
    picture = decode(data, LIMITS)
    np.testing.assert_array_equal(picture.alpha, np.rot90(NOISE[..., 3], -1))
    assert [round(dots) for dots in picture.metadata.dpi] == [200, 100]


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation_is_read(format):
    frames = [Image.fromarray(np.full((8, 9, 3), value, np.uint8)) for value in (10, 90, 200)]
    options = {"lossless": True} if format == "WEBP" else {}
    data = saved(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert (decode(data, LIMITS).image == 10).all()


def test_gif_transparency_becomes_alpha():
    data = saved(picture_of("P"), "GIF", transparency=5)
    picture = decode(data, LIMITS)
    expected = rgba_of(data)
    np.testing.assert_array_equal(picture.alpha, expected[..., 3])
    np.testing.assert_array_equal(picture.image, expected[..., :3])
    assert set(np.unique(picture.alpha)) == {0, 255}


def test_gif_frame_smaller_than_its_screen_is_read_as_by_pillow():
    data = bytearray(saved(picture_of("P"), "GIF"))
    struct.pack_into("<HH", data, 6, 30, 20)
    picture = decode(bytes(data), LIMITS)
    assert picture.image.shape == (20, 30, 3)
    np.testing.assert_array_equal(picture.image, rgb_of(bytes(data)))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_png_gamma_is_ignored_at_every_palette_depth(bits):
    image = picture_of("P").convert("L").point(lambda value: value >> 4)
    plain = saved(image.quantize(2**bits), "PNG", bits=bits)
    gamma = (b"gAMA", struct.pack(">I", 45455))
    body = b"gAMA" + gamma[1]
    chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    data = plain[:33] + chunk + plain[33:]
    np.testing.assert_array_equal(decode(data, LIMITS).image, rgb_of(plain))


def test_adam7_png_is_read():
    # One pixel: pass 1 of Adam7 holds it all, the other passes are empty.
    data = bytearray(png_of((1, 1), 8, 2, [bytes((9, 8, 7))]))
    data[28] = 1
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    assert decode(bytes(data), LIMITS).image.tolist() == [[[9, 8, 7]]]


@pytest.mark.parametrize(
    ("word", "format"), [("jpg", "jpeg"), (".TIF", "tiff"), (" image/WebP", "webp")]
)
def test_format_is_known_by_its_common_names(word, format):
    assert Format.parse(word) is Format(format)
    assert Format(format).media_type == f"image/{format}"
