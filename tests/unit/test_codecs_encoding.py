"""What goes out: pixels come back, metadata comes along."""

import io
import struct
import zlib

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageCms

from inpaint.codecs import Format, Limits, Metadata, can_hold_alpha, decode, encode
from inpaint.codecs.tiff import COMPRESSIONS
from inpaint.errors import ImageTooLargeError

LIMITS = Limits(1_000_000)
RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (13, 17, 4), np.uint8)
RGB, ALPHA = np.ascontiguousarray(NOISE[..., :3]), np.ascontiguousarray(NOISE[..., 3])
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = SRGB[:16] + b"GRAY" + SRGB[20:]
LOSSLESS = [Format.PNG, Format.BMP, Format.TIFF, Format.WEBP]
PLAIN = Metadata(lossless=True)
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def exif_block(**tags):
    exif = Image.Exif()
    exif.update({0x010E: "a picture", 0x010F: "maker"} | tags)
    return exif.tobytes().removeprefix(b"Exif\0\0")


def opened(data):
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(LOSSLESS), arrays(np.uint8, SIZES), st.data())
def test_lossless_formats_give_back_every_byte(format, alpha, data):
    image = data.draw(arrays(np.uint8, (*alpha.shape, 3)))
    given_alpha = data.draw(st.sampled_from([None, alpha]))
    for array in (image, alpha):
        array.flags.writeable = False  # as it arrives through Ray
    back = decode(encode(image, given_alpha, format, PLAIN, 50), LIMITS)
    np.testing.assert_array_equal(back.image, image)
    assert back.format is format
    if given_alpha is None:
        assert back.alpha is None
    elif format is Format.WEBP and (alpha == 255).all():
        assert back.alpha is None or (back.alpha == 255).all()
    else:
        np.testing.assert_array_equal(back.alpha, alpha)


@pytest.mark.parametrize("compression", [None, *sorted(set(COMPRESSIONS.values()))])
def test_tiff_keeps_its_compression(compression):
    data = encode(RGB, ALPHA, Format.TIFF, Metadata(tiff_compression=compression), 90)
    back = decode(data, LIMITS)
    assert back.metadata.tiff_compression == (compression or "tiff_lzw")
    np.testing.assert_array_equal(back.image, RGB)
    np.testing.assert_array_equal(back.alpha, ALPHA)


def test_tiff_with_lossy_compression_becomes_lossless():
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "TIFF", compression="jpeg")
    picture = decode(buffer.getvalue(), LIMITS)
    data = encode(picture.image, None, Format.TIFF, picture.metadata, 90)
    np.testing.assert_array_equal(decode(data, LIMITS).image, picture.image)


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 5)])
def test_every_format_opens_in_pillow_with_its_size(format, size):
    image = np.full((*size, 3), 200, np.uint8)
    alpha = np.full(size, 255, np.uint8)
    for given_alpha in (None, alpha):
        picture = opened(encode(image, given_alpha, format, Metadata(), 90))
        assert (picture.format, picture.size) == (format.upper(), size[::-1])
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - 200).max() <= 2


def test_window_of_a_larger_array_is_encoded():
    window = np.zeros((40, 50, 3), np.uint8)[5:18, 7:24]
    window[:] = RGB
    for format in LOSSLESS:
        back = decode(encode(window, None, format, PLAIN, 90), LIMITS)
        np.testing.assert_array_equal(back.image, RGB)


FULL = Metadata(icc_profile=SRGB, exif=exif_block(), dpi=(300.0, 150.0), parameters="steps: 3")


@pytest.mark.parametrize(
    ("format", "kept"),
    [
        (Format.PNG, {"icc_profile", "exif", "dpi", "parameters"}),
        (Format.JPEG, {"icc_profile", "exif", "dpi"}),
        (Format.WEBP, {"icc_profile", "exif"}),
        (Format.TIFF, {"icc_profile", "dpi"}),
        (Format.BMP, {"dpi"}),
        (Format.GIF, set()),
    ],
)
def test_metadata_that_the_format_holds_comes_back(format, kept):
    data = encode(RGB, None, format, FULL, 90)
    back = decode(data, LIMITS).metadata
    for name in ("icc_profile", "exif", "dpi", "parameters"):
        expected = getattr(FULL, name) if name in kept else None
        if name == "dpi" and expected:  # PNG and BMP count whole pixels a metre
            expected = pytest.approx(expected, abs=0.02)
        assert getattr(back, name) == expected


@pytest.mark.parametrize("format", [Format.PNG, Format.JPEG, Format.WEBP])
def test_pillow_finds_the_metadata_too(format):
    picture = opened(encode(RGB, None, format, FULL, 90))
    assert picture.info["icc_profile"] == SRGB
    assert picture.getexif()[0x010E] == "a picture"
    if format is not Format.WEBP:
        assert [round(dots) for dots in picture.info["dpi"]] == [300, 150]
    if format is Format.PNG:
        assert picture.text == {"parameters": "steps: 3"}


@pytest.mark.parametrize("text", ["", "naïve", "Ω 漢字", "two\nlines"])
def test_png_parameters_keep_any_text(text):
    data = encode(RGB, None, Format.PNG, Metadata(parameters=text), 90)
    assert opened(data).text == {"parameters": text}
    assert decode(data, LIMITS).metadata.parameters == text


def test_png_checksums_hold():
    data = encode(RGB, ALPHA, Format.PNG, FULL, 90)
    at, names = 8, []
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        assert checksum == zlib.crc32(data[at + 4 : at + 8 + length])
        names.append(name)
        at += 12 + length
    assert names[:5] == [b"IHDR", b"iCCP", b"pHYs", b"eXIf", b"tEXt"]
    assert names[-1] == b"IEND"


def test_jpeg_profile_of_several_segments_is_split_and_joined():
    profile = SRGB[:128] + RNG.bytes(150_000)
    data = encode(RGB, None, Format.JPEG, Metadata(icc_profile=profile), 90)
    assert data.count(b"ICC_PROFILE\0") == 3
    assert opened(data).info["icc_profile"] == profile
    assert decode(data, LIMITS).metadata.icc_profile == profile


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411", "Gray"])
def test_jpeg_keeps_the_subsampling_of_its_input(subsampling):
    data = encode(RGB, None, Format.JPEG, Metadata(subsampling=subsampling), 95)
    assert simplejpeg.decode_jpeg_header(data)[3] == subsampling


@pytest.mark.parametrize(
    ("quality", "subsampling"), [(1, "420"), (89, "420"), (90, "444"), (100, "444")]
)
def test_jpeg_of_another_format_has_full_chroma_from_quality_90(quality, subsampling):
    data = encode(RGB, None, Format.JPEG, Metadata(), quality)
    assert simplejpeg.decode_jpeg_header(data)[3] == subsampling


@pytest.mark.parametrize("quality", [30, 80, 90, 95, 100])
def test_jpeg_is_what_pillow_makes_at_that_quality(quality):
    ours = opened(encode(RGB, None, Format.JPEG, Metadata(subsampling="444"), quality))
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG", quality=quality, subsampling=0)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(opened(buffer.getvalue())))


@pytest.mark.parametrize(
    ("profile", "subsampling", "kept"),
    [(SRGB, "444", True), (SRGB, "Gray", False), (GREY, "Gray", True), (GREY, "444", False)],
)
def test_jpeg_holds_only_the_profile_of_its_colours(profile, subsampling, kept):
    metadata = Metadata(icc_profile=profile, subsampling=subsampling)
    data = encode(RGB, None, Format.JPEG, metadata, 90)
    assert decode(data, LIMITS).metadata.icc_profile == (profile if kept else None)


def test_jpeg_lays_transparency_over_white():
    image = np.zeros((32, 48, 3), np.uint8)
    alpha = np.repeat(np.array([0, 128, 255], np.uint8), 16)[None].repeat(32, 0)
    back = decode(encode(image, alpha, Format.JPEG, Metadata(), 100), LIMITS)
    assert back.alpha is None
    assert back.image[0, [8, 24, 40], 0].tolist() == [255, 127, 0]


def test_webp_is_lossless_if_its_input_was():
    first = encode(RGB, ALPHA, Format.WEBP, Metadata(lossless=True), 1)
    picture = decode(first, LIMITS)
    assert picture.metadata.lossless
    lossy = decode(encode(RGB, ALPHA, Format.WEBP, Metadata(), 50), LIMITS)
    assert not lossy.metadata.lossless
    assert not np.array_equal(lossy.image, RGB)
    np.testing.assert_array_equal(lossy.alpha, ALPHA)


@pytest.mark.parametrize("format", [Format.JPEG, Format.WEBP])
def test_quality_decides_the_size_of_lossy_formats(format):
    sizes = [len(encode(RGB, None, format, Metadata(), quality)) for quality in (5, 50, 95)]
    assert sizes == sorted(sizes)


def test_gif_keeps_few_colours_and_one_bit_of_alpha():
    image = RNG.integers(0, 256, (200, 3), np.uint8)[RNG.integers(0, 200, (20, 30))]
    alpha = RNG.integers(0, 256, (20, 30), np.uint8)
    back = decode(encode(image, alpha, Format.GIF, Metadata(), 90), LIMITS)
    seen = alpha >= 128
    np.testing.assert_array_equal(back.alpha, np.where(seen, 255, 0))
    np.testing.assert_array_equal(back.image[seen], image[seen])


def test_gif_of_many_colours_is_close():
    ramp = np.full((64, 64, 3), 90, np.uint8)
    ramp[..., 0], ramp[..., 1] = 4 * np.indices((64, 64))
    back = decode(encode(ramp, None, Format.GIF, Metadata(), 90), LIMITS)
    assert np.abs(back.image.astype(int) - ramp).mean() < 8


@pytest.mark.parametrize(
    ("format", "longest", "instead"),
    [
        (Format.WEBP, 16_383, "PNG"),
        (Format.JPEG, 65_500, "PNG"),
        (Format.GIF, 65_535, "PNG"),
        (Format.PNG, 1_000_000, "TIFF"),
    ],
)
def test_side_beyond_the_format_is_refused_with_the_numbers(format, longest, instead):
    with pytest.raises(ImageTooLargeError, match=rf"{longest + 1}x1 px.*{longest} px.*{instead}"):
        encode(np.zeros((1, longest + 1, 3), np.uint8), None, format, Metadata(), 90)
    encode(np.zeros((1, longest, 3), np.uint8), None, format, Metadata(), 90)


def test_only_jpeg_cannot_hold_alpha():
    assert [format for format in Format if not can_hold_alpha(format)] == [Format.JPEG]
