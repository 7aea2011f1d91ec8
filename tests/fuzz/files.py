"""Pictures that are broken: cut off, flipped, spliced, lying about themselves, or no pictures."""

import struct
import zlib

from hypothesis import strategies as st
from PIL import Image

from tests.fuzz import forms
from tests.fuzz.target import Sent
from tests.unit.codec_pictures import NOISE, RNG, picture_of, png_of, saved

SIGNATURES = (
    b"\x89PNG\r\n\x1a\n",
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
    b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    b"\xff\xd8\xff\xdb",
    b"GIF89a",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"II+\0\x08\0\0\0",
    b"BM",
    b"RIFF\xff\xff\xff\xffWEBPVP8 ",
    b"RIFF\xff\xff\xff\xffWEBPVP8L",
    b"RIFF\xff\xff\xff\xffWEBPVP8X",
)
EXTREMES = (0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 65536,
            2**31 - 1, 2**31, 2**32 - 1)  # fmt: skip


def samples() -> list[bytes]:
    """Small sound files of every format, in many of the ways that each has to store a picture."""
    noise = Image.fromarray(NOISE).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    profile = bytes(16) + b"RGB " + bytes(108)
    extras = {"exif": exif, "icc_profile": profile}
    made = [
        *(saved(picture_of(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
        saved(noise, "PNG", **extras, dpi=(300, 300)),
        saved(picture_of("P"), "PNG", transparency=bytes(range(9))),
        *(saved(picture_of(mode), "JPEG") for mode in ("L", "RGB", "CMYK")),
        *(saved(noise, "JPEG", subsampling=number) for number in (0, 1, 2)),
        saved(noise, "JPEG", progressive=True, **extras),
        saved(noise, "JPEG", restart_marker_blocks=1),
        saved(noise, "WEBP", **extras),
        saved(noise, "WEBP", lossless=True),
        saved(Image.fromarray(NOISE), "WEBP"),
        saved(noise, "WEBP", save_all=True, append_images=[noise.rotate(90)]),
        saved(picture_of("P"), "GIF", transparency=3),
        saved(picture_of("P"), "GIF", save_all=True, append_images=[picture_of("P").rotate(90)]),
        *(saved(picture_of(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")),
        run_lengths(),
        *(saved(picture_of(mode), "TIFF") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")),
        *(
            saved(noise, "TIFF", compression=name, **extras)
            for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
        ),
        saved(picture_of("1"), "TIFF", compression="group4"),
        saved(noise, "TIFF", big_tiff=True),
        png_of((5, 6), 16, 0, [RNG.bytes(12)] * 5),
        png_of((5, 6), 16, 2, [RNG.bytes(36)] * 5, (b"tRNS", bytes(6))),
        png_of((5, 6), 2, 3, [bytes(2)] * 5, (b"PLTE", RNG.bytes(12))),
        png_of((5, 6), 8, 2, [bytes(18)] * 5, (b"zTXt", b"parameters\0\0" + zlib.compress(b"a"))),
    ]
    return made


def run_lengths() -> bytes:
    """A BMP of 2x2 px whose rows are run lengths."""
    head = struct.pack("<IiiHHIIiiII", 40, 2, 2, 1, 8, 1, 0, 0, 0, 0, 0)
    file = b"BM" + struct.pack("<III", 0, 0, 14 + 40 + 1024) + head + bytes(1024)
    return file + b"\x02\x07\0\0\x02\x09\0\1"


def bombs() -> list[bytes]:
    """Files that say to be larger than they are, or unpack to more than they say."""
    zeros = zlib.compress(bytes(30_000_000), 9)
    huge = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0)
    noise = Image.fromarray(NOISE).convert("RGB")
    deflated = bytearray(saved(noise, "TIFF", compression="tiff_adobe_deflate"))
    plain_png = saved(noise, "PNG")
    jpeg = saved(noise, "JPEG")
    gif = saved(picture_of("P"), "GIF")
    row = [b"\0" * 3]
    return [
        png_of((1, 1), 8, 2, row, (b"IDAT", zeros)),
        png_of((1, 1), 8, 2, row, *[(b"tEXt", b"parameters\0" + b"x" * 9000)] * 100),
        png_of((1, 1), 8, 2, row, *[(b"tEXt", b"k\0")] * 100_000),
        png_of((1, 1), 8, 2, row, (b"zTXt", b"parameters\0\0" + zeros)),
        png_of((1, 1), 8, 2, row, (b"iCCP", b"name\0\0" + zeros)),
        png_of((1400, 1400), 1, 0, [bytes(175)] * 1400, (b"IDAT", zeros)),
        plain_png[:8] + chunk(b"IHDR", huge) + plain_png[33:],
        jpeg[:2] + b"\xff\xfe\xff\xff" * 2 + bytes(130_000) + jpeg[2:],
        jpeg[:2] + b"\xff\xfe\0\x02" * 200_000 + jpeg[2:],
        jpeg[:2] + b"\xff" * 1_000_000 + jpeg[2:],
        with_size(jpeg, b"\xff\xc0", 5, ">HH", (65_535, 65_535)),
        with_size(jpeg, b"\xff\xc0", 5, ">HH", (1_400, 1_400)),
        gif[:6] + struct.pack("<HH", 65_535, 65_535) + gif[10:],
        gif[:13] + (b"\x21\xfe" + (b"\xff" + b"c" * 255) * 4_000 + b"\0") + gif[13:],
        bytes(deflated[:4]) + struct.pack("<I", 4) + bytes(deflated[8:]),
        saved(Image.new("L", (1_400, 1_400)), "TIFF", compression="tiff_adobe_deflate"),
        saved(Image.new("RGB", (1_414, 1_414)), "WEBP", lossless=True),
        saved(Image.new("RGB", (1_414, 1_414)), "JPEG", progressive=True),
        saved(Image.new("1", (16_000, 16_000)), "PNG"),
        saved(Image.new("1", (16_000, 16_000)), "TIFF", compression="group4"),
        run_lengths()[:-8] + b"\xff\x07" * 100_000,
        b"BM" + struct.pack("<IIIIii", 0, 0, 54, 40, 2**31 - 1, -(2**31)) + bytes(40),
    ]


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_size(data: bytes, marker: bytes, step: int, code: str, size: tuple[int, int]) -> bytes:
    """`data` with another size behind a marker."""
    changed = bytearray(data)
    struct.pack_into(code, changed, data.index(marker) + step, *size)
    return bytes(changed)


SAMPLES = samples()
BOMBS = bombs()


@st.composite
def damaged(draw) -> bytes:
    """A sound file with one or more kinds of damage."""
    data = bytearray(draw(st.sampled_from(SAMPLES)))
    for damage in draw(st.lists(st.sampled_from(DAMAGES), min_size=1, max_size=3)):
        damage(draw, data)
    return bytes(data)


def _place(draw, data: bytearray):
    """An offset; every other time among the first hundred, where headers are."""
    end = max(len(data) - 1, 0)
    return draw(st.one_of(st.integers(0, min(end, 100)), st.integers(0, end)))


def _cut(draw, data: bytearray) -> None:
    del data[_place(draw, data) :]


def _flip(draw, data: bytearray) -> None:
    for _ in range(draw(st.integers(1, 12))):
        if data:
            data[_place(draw, data)] ^= 1 << draw(st.integers(0, 7))


def _lie(draw, data: bytearray) -> None:
    at, code = _place(draw, data), draw(st.sampled_from(("<H", ">H", "<I", ">I")))
    limit = 2**16 if code[1] == "H" else 2**32
    value = struct.pack(code, draw(st.sampled_from(EXTREMES)) % limit)
    data[at : at + len(value)] = value


def _splice(draw, data: bytearray) -> None:
    other = draw(st.sampled_from(SAMPLES))
    data[_place(draw, data) :] = other[_place(draw, bytearray(other)) :]


def _repeat(draw, data: bytearray) -> None:
    start = _place(draw, data)
    piece = bytes(data[start : start + draw(st.integers(1, 200))])
    data[start:start] = piece * draw(st.sampled_from((1, 2, 50, 1000)))


def _fill(draw, data: bytearray) -> None:
    start, length = _place(draw, data), draw(st.integers(1, 64))
    data[start : start + length] = draw(st.binary(min_size=1, max_size=64))


DAMAGES = (_cut, _flip, _flip, _lie, _lie, _splice, _repeat, _fill)

broken_files = st.one_of(
    damaged(),
    damaged(),
    damaged(),
    st.builds(bytes.__add__, st.sampled_from(SIGNATURES), st.binary(max_size=300)),
    st.binary(max_size=200),
    st.sampled_from(BOMBS),
)


def edits(data: bytes) -> list[Sent]:
    """Every way to hand the service a picture."""
    good, mask = forms.IMAGE, forms.MASK
    return [
        forms.form("/inpaint", {"image": data, "mask": mask}, model="mean-fill"),
        forms.form("/inpaint", {"image": data, "mask": mask}, model="painter", sd_steps=1),
        forms.form("/inpaint", {"image": good, "mask": data}, model="mean-fill", format="webp"),
        forms.form("/inpaint", {"image": data, "mask": data}, model="cv2"),
        forms.form(
            "/inpaint",
            {"image": good, "mask": mask, "paint_by_example_example_image": data},
            model="example-painter",
            sd_steps=1,
        ),
        forms.form("/ocr", {"image": data}),
        forms.form("/remove-text", {"image": data}, (b"accept", b"application/json"), model="cv2"),
        forms.form("/v1/images/edits", {"image": data, "mask": data}, model="mean-fill"),
        forms.form("/v1/images/edits", {"image": data, "mask": mask}, model="cv2"),
        forms.form("/api/v1/gen-info", {"file": data}),
        forms.form("/api/v1/save_image", {"file": data}),
        forms.as_json(
            "/api/v1/inpaint", {"image": forms.encoded(data), "mask": forms.encoded(mask)}
        ),
        forms.as_json("/api/v1/adjust_mask", {"mask": forms.encoded(data), "operate": "expand"}),
    ]


WAYS = len(edits(b""))

requests = st.builds(lambda data, way: edits(data)[way], broken_files, st.integers(0, WAYS - 1))
