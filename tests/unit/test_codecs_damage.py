"""Hostile and broken files: refused with one of our errors, quickly, whatever they hold."""

import io
import struct
import time
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inpaint.codecs import Format, Limits, Metadata, decode, decode_mask, encode, read_header
from inpaint.codecs.exif import tidy
from inpaint.errors import ImageDecodeError, ImageTooLargeError, ParamsError

LIMITS = Limits(100_000)
NOISE = np.random.default_rng(0).integers(0, 256, (24, 31, 3), np.uint8)
PNG_START = b"\x89PNG\r\n\x1a\n"


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def saved(picture, format, **options):
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def samples():
    picture = Image.fromarray(NOISE)
    exif = Image.Exif()
    exif[0x0112] = 6
    yield from (saved(picture, format, exif=exif) for format in ("PNG", "JPEG", "WEBP"))
    yield saved(picture, "WEBP", lossless=True)
    yield saved(picture.convert("CMYK"), "JPEG")
    yield saved(picture, "JPEG", progressive=True)
    yield saved(picture, "BMP")
    yield saved(picture.quantize(9), "GIF", transparency=3)
    yield saved(picture.quantize(9), "PNG", transparency=bytes(range(9)))
    yield from (
        saved(picture, "TIFF", compression=name)
        for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    )


SAMPLES = tuple(samples())


def assert_reads_or_refuses(data):
    for read in (decode, decode_mask, read_header):
        with suppress(ImageDecodeError, ImageTooLargeError):
            read(data, LIMITS)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", *SAMPLES]), st.integers(2, 60))
def test_random_bytes_never_raise_anything_of_others(tail, head, length):
    assert_reads_or_refuses(head[:length] + tail)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(SAMPLES), st.floats(0, 1))
def test_truncated_files_never_raise_anything_of_others(sample, share):
    assert_reads_or_refuses(sample[: int(share * len(sample))])


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_headers_never_raise_anything_of_others(sample, changes):
    data = bytearray(sample)
    for at, value in changes:
        data[at % len(data)] = value
    assert_reads_or_refuses(bytes(data))


@pytest.mark.parametrize("sample", SAMPLES, ids=range(len(SAMPLES)))
def test_half_a_file_is_refused(sample):
    with pytest.raises(ImageDecodeError, match=r"damaged|breaks off"):
        decode(sample[: len(sample) // 2], LIMITS)


@pytest.mark.parametrize("data", [b"", b"hello", b"<svg/>", b"\0" * 100, b"RIFF\0\0\0\0WAVE"])
def test_no_picture_is_refused_with_what_would_be_right(data):
    with pytest.raises(ImageDecodeError, match="send"):
        decode(data, LIMITS)


def test_forged_size_is_refused_in_milliseconds():
    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    data = PNG_START + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10**6)))
    began = time.perf_counter()
    with pytest.raises(ImageTooLargeError, match=r"40000x40000 px, 1600000000 in all.*100000000"):
        decode(data, Limits(100_000_000))
    assert time.perf_counter() - began < 0.1


@pytest.mark.parametrize("format", Format)
def test_limit_holds_for_every_format_before_decoding(format):
    data = encode(NOISE, None, format, Metadata(), 90)
    exact = Limits(NOISE.shape[0] * NOISE.shape[1])
    assert decode(data, exact).image.shape == NOISE.shape
    for read in (decode, decode_mask, read_header):
        with pytest.raises(ImageTooLargeError, match="31x24 px, 744 in all; send at most 743"):
            read(data, Limits(exact.max_pixels - 1))


@pytest.mark.parametrize("format", [Format.PNG, Format.JPEG, Format.BMP])
def test_picture_beyond_pillows_own_limit_raises_no_warning(monkeypatch, format):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data = encode(NOISE, None, format, Metadata(), 90)
    assert decode(data, LIMITS).image.shape == NOISE.shape


@pytest.mark.parametrize("format", [Format.WEBP, Format.TIFF, Format.GIF])
def test_pillows_own_limit_is_named_where_it_cannot_be_avoided(monkeypatch, format):
    data = encode(NOISE, None, format, Metadata(), 90)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    with pytest.raises(ImageTooLargeError, match="send at most 700"):
        decode(data, LIMITS)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_empty_picture_is_refused(size):
    head = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    with pytest.raises(ImageDecodeError):
        decode(PNG_START + chunk(b"IHDR", head) + chunk(b"IEND", b""), LIMITS)
    screen = b"GIF89a" + struct.pack("<HHBBB", *size, 0, 0, 0)
    frame = b"," + struct.pack("<HHHHB", 0, 0, *size, 0) + b"\x02\0;"
    with pytest.raises(ImageDecodeError):
        decode(screen + frame, LIMITS)


def with_chunks(*chunks):
    plain = encode(NOISE, None, Format.PNG, Metadata(), 90)
    return plain[:33] + b"".join(chunk(*pair) for pair in chunks) + plain[33:]


BOMB = zlib.compress(bytes(20_000_000))


@pytest.mark.parametrize(
    "extra",
    [
        (b"zTXt", b"parameters\0\0" + BOMB),
        (b"zTXt", b"other\0\0" + BOMB),
        (b"iTXt", b"parameters\0\1\0\0\0" + BOMB),
        (b"iTXt", b"parameters\0"),
        (b"iCCP", b"name\0\0" + BOMB),
        (b"iCCP", b"name\0\0not zlib"),
        (b"eXIf", b"garbage"),
        (b"eXIf", b"II*\0" + bytes(100_000)),
        (b"pHYs", struct.pack(">IIB", 0, 0, 1)),
        (b"gAMA", struct.pack(">I", 1)),
        (b"acTL", b"\xff" * 8),
    ],
    ids=lambda extra: f"{extra[0].decode()}-{len(extra[1])}",
)
def test_bad_extra_chunk_is_dropped_and_the_picture_read(extra):
    picture = decode(with_chunks(extra), LIMITS)
    np.testing.assert_array_equal(picture.image, NOISE)
    assert picture.metadata == Metadata()


def test_garbage_exif_in_a_jpeg_is_dropped():
    plain = encode(NOISE, None, Format.JPEG, Metadata(), 90)
    for block in (b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + bytes(40)):
        body = b"Exif\0\0" + block
        segment = struct.pack(">BBH", 0xFF, 0xE1, len(body) + 2) + body
        picture = decode(plain[:20] + segment + plain[20:], LIMITS)
        assert (picture.metadata.exif, picture.turned) == (None, False)


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_loses_orientation_and_thumbnail_and_nothing_else(order):
    magic = b"II*\0" if order == "<" else b"MM\0*"
    note, thumbnail = b"an author's name", b"\xff\xd8 a small picture"
    first = [(270, 2, len(note), 100), (0x0112, 3, 1, 6 if order == "<" else 6 << 16)]
    second = [(0x0201, 4, 1, 130), (0x0202, 4, 1, len(thumbnail))]

    def directory(entries, following):
        table = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
        return struct.pack(order + "H", len(entries)) + table + struct.pack(order + "I", following)

    block = magic + struct.pack(order + "I", 8) + directory(first, 60)
    block = block.ljust(60, b"\0") + directory(second, 0)
    block = (block.ljust(100, b"\0") + note).ljust(130, b"\0") + thumbnail
    kept, orientation = tidy(block)
    assert orientation == 6
    assert thumbnail not in kept
    exif = Image.Exif()
    exif.load(kept)
    assert dict(exif) == {270: note.decode()}
    assert kept[100 : 100 + len(note)] == note
    assert tidy(kept) == (kept, 1)


@given(st.binary(max_size=80), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]))
def test_exif_of_any_bytes_is_tidied_or_dropped(tail, head):
    kept, orientation = tidy(head + tail)
    assert 1 <= orientation <= 8
    assert kept is None or len(kept) >= 8


def test_gif_of_megabytes_of_comments_is_read_at_once():
    plain = saved(Image.fromarray(NOISE).quantize(9), "GIF")
    at = 13 + (3 << (plain[10] & 7) + 1)
    comments = b"\x21\xfe" + (b"\xff" + b"c" * 255) * 8_000 + b"\0"
    began = time.perf_counter()
    decode(plain[:at] + comments + plain[at:], LIMITS)
    assert time.perf_counter() - began < 0.5


def test_tiff_of_one_pixel_with_a_giant_tile_is_refused():
    data = bytearray(saved(Image.fromarray(NOISE), "TIFF", dpi=(1, 1)))
    for density, side in ((282, 322), (283, 323)):  # put the tile's sides in the place of the dpi
        at = data.index(struct.pack("<HHI", density, 5, 1))
        struct.pack_into("<HHII", data, at, side, 4, 1, 65_536)
    with pytest.raises(ImageDecodeError, match="tiles of 4294967296 px"):
        decode(bytes(data), LIMITS)


def test_webp_that_lies_about_its_canvas_is_refused():
    extended = Metadata(icc_profile=bytes(16) + b"RGB ")
    data = bytearray(encode(NOISE, None, Format.WEBP, extended, 90))
    assert data[12:16] == b"VP8X"
    data[24:27] = (9).to_bytes(3, "little")
    with pytest.raises(ImageDecodeError):
        decode(bytes(data), LIMITS)


def test_bmp_of_run_lengths_is_bounded():
    head = struct.pack("<IiiHHIIiiII", 40, 2, 2, 1, 8, 1, 0, 0, 0, 0, 0)
    file = b"BM" + struct.pack("<III", 0, 0, 14 + 40 + 1024) + head + bytes(1024)
    runs = b"\x02\x07\0\0\x02\x09\0\1"
    assert decode(file + runs, LIMITS).image.shape == (2, 2, 3)
    with pytest.raises(ImageDecodeError, match="run lengths"):
        decode(file + bytes(4_000_000), LIMITS)


def test_unknown_format_word_is_refused_with_the_known_ones():
    with pytest.raises(ParamsError, match=r"'heic'.*png, jpeg, webp"):
        Format.parse("heic")
