"""What comes in: every mode of every format, against Pillow's own reading of it."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageCms, ImageOps

from inpaint.codecs import Format, Limits, decode, decode_mask, read_header
from inpaint.errors import ImageDecodeError

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


def test_16_bit_grey_big_endian_tiff_is_read():
    grey = np.array([[0x0102, 0xFF00]], ">u2")
    data = saved(Image.frombytes("I;16B", (2, 1), grey.tobytes()), "TIFF")
    assert decode(data, LIMITS).image[0, :, 0].tolist() == [1, 255]


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


def test_white_is_zero_tiff_of_8_bits_is_inverted_and_of_16_refused():
    plain = saved(Image.fromarray(NOISE[..., 0]), "TIFF")
    inverted = plain.replace(struct.pack("<HHII", 262, 3, 1, 1), struct.pack("<HHII", 262, 3, 1, 0))
    np.testing.assert_array_equal(decode(inverted, LIMITS).image[..., 0], 255 - NOISE[..., 0])
    wide = saved(Image.fromarray(NOISE[..., 0].astype(np.uint16)), "TIFF")
    wide = wide.replace(struct.pack("<HHII", 262, 3, 1, 1), struct.pack("<HHII", 262, 3, 1, 0))
    with pytest.raises(ImageDecodeError, match="white as zero"):
        decode(wide, LIMITS)


JPEGS = [
    *({"subsampling": s, "progressive": p} for s in (0, 1, 2) for p in (False, True)),
    {"restart_marker_rows": 1},
    {"optimize": True, "quality": 30},
    {"keep_rgb": True, "subsampling": 0},
]


@pytest.mark.parametrize("options", JPEGS, ids=str)
@pytest.mark.parametrize("size", [(45, 67), (16, 16), (1, 1), (1, 33), (33, 1)])
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
def test_interlaced_png_and_gamma_read_as_by_pillow(bits):
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


MASK_MODES = ["1", "L", "LA", "P", "RGB", "RGBA"]


@pytest.mark.parametrize("mode", MASK_MODES)
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


@pytest.mark.parametrize(
    ("word", "format"), [("jpg", "jpeg"), (".TIF", "tiff"), (" image/WebP", "webp")]
)
def test_format_is_known_by_its_common_names(word, format):
    assert Format.parse(word) is Format(format)
    assert Format(format).media_type == f"image/{format}"


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
        struct.pack(">I4xI", 144 + len(table), 0x02400000) + b"prtrCMYKLab " + bytes(12) + b"acsp"
    )
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
