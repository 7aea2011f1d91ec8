"""The real PaddleOCR, with the shipped models, on small rendered pictures."""

import os
import re
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from deployments.models.paddle_ocr import PaddleOcr
from inpaint.catalog import Catalog
from inpaint.errors import ExtraMissingError
from inpaint.texts import ReaderOptions, ReadOptions

pytestmark = [
    pytest.mark.skipif(find_spec("paddleocr") is None, reason="the extra [ocr] is not installed"),
    pytest.mark.filterwarnings("ignore"),  # those of PaddleOCR and what it imports
]

SPEC = Catalog.from_dirs([Path(__file__).parents[2] / "configs/models"]).get("pp-ocrv6-small")
PAPER, INK = (240, 236, 225), (20, 20, 40)
CJK_FONTS = ("NotoSansCJK-Regular.ttc", "wqy-zenhei.ttc", "wqy-microhei.ttc", "uming.ttc")


def refuse(*args):
    raise AssertionError(f"a connection was tried: {args}")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Loaded once, with an empty cache and without a network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield PaddleOcr.load(SPEC, [], ReaderOptions(threads=2))


def blank(height, width):
    return np.full((height, width, 3), PAPER, np.uint8)


def written(size, *lines, font=None):
    """A picture of (height, width) `size` with lines of (text, x, y, font size)."""
    picture = Pillow.fromarray(blank(*size))
    draw = ImageDraw.Draw(picture)
    for text, x, y, px in lines:
        face = ImageFont.truetype(font, px) if font else ImageFont.load_default(px)
        draw.text((x, y), text, font=face, fill=INK)
    image = np.array(picture)
    image.flags.writeable = False
    return image


def texts(regions):
    return [region.text for region in regions]


def is_around(region, text, x, y, px):
    """Whether the region's bounding box is that of a line of `written`, grown a little."""
    left, top, right, bottom = ImageFont.load_default(px).getbbox(text)
    drawn = np.array([x + left, y + top, x + right, y + bottom])
    found = np.array([*region.polygon.min(axis=0), *region.polygon.max(axis=0)])
    grown = (found - drawn) * (-1, -1, 1, 1)
    return (grown > -2 - 0.1 * px).all() and (grown < 4 + 0.4 * px).all()


def test_lines_are_read_in_order(reader):
    page = written(
        (300, 620),
        ("Exit 24B", 380, 30, 32),
        ("Fresh bread daily", 30, 34, 28),
        ("Total: 1,284.50", 30, 150, 24),
        ("Photo by A. Person", 30, 240, 16),
    )
    regions = reader.read(page, ReadOptions())
    assert texts(regions) == [
        "Fresh bread daily", "Exit 24B", "Total: 1,284.50", "Photo by A. Person",
    ]  # fmt: skip
    assert all(region.polygon.dtype == np.float32 for region in regions)
    assert all(region.score > 0.9 and 0.6 < region.detection_score <= 1 for region in regions)
    assert is_around(regions[3], "Photo by A. Person", 30, 240, 16)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_writing_turned_by_quarters_is_read_and_outlined_from_its_own_top_left(reader, quarters):
    upright = written((200, 400), ("Handle with care", 60, 80, 30))
    (straight,) = reader.read(upright, ReadOptions())
    (turned,) = reader.read(np.rot90(upright, quarters), ReadOptions())
    assert turned.text == straight.text == "Handle with care"
    assert turned.height_px == pytest.approx(straight.height_px, rel=0.3)
    corner = {1: (0, 1), 2: (1, 1), 3: (1, 0)}[quarters]
    extremes = turned.polygon.min(axis=0), turned.polygon.max(axis=0)
    own = [extremes[corner[axis]][axis] for axis in (0, 1)]
    np.testing.assert_allclose(turned.polygon[0], own, atol=8)


@pytest.mark.parametrize("degrees", [15, -15])
def test_slanted_writing_is_read(reader, degrees):
    upright = Pillow.fromarray(written((400, 500), ("Platform 3", 120, 170, 44)))
    slanted = np.asarray(upright.rotate(degrees, Pillow.Resampling.BICUBIC, fillcolor=PAPER))
    (region,) = reader.read(slanted, ReadOptions())
    assert region.text == "Platform 3"
    top = region.polygon[1] - region.polygon[0]
    assert np.degrees(np.arctan2(-top[1], top[0])) == pytest.approx(degrees, abs=3)
    assert 30 < region.height_px < 70


def test_small_writing_is_found_in_a_large_picture(reader):
    page = written((3000, 4000), ("SAMPLE copy 2026", 2900, 2100, 14))  # capitals of 10 px
    (region,) = reader.read(page, ReadOptions())
    assert region.text == "SAMPLE copy 2026"
    assert is_around(region, "SAMPLE copy 2026", 2900, 2100, 14)


def test_lone_small_lines_are_found_in_an_empty_picture(reader):
    places = [(60, 40), (700, 310), (1100, 640)]
    for x, y in places:
        (region,) = reader.read(written((720, 1280), ("Rear entrance", x, y, 12)), ReadOptions())
        assert region.text == "Rear entrance"
        assert is_around(region, "Rear entrance", x, y, 12)


def test_small_writing_in_a_large_picture_is_lost_without_tiles(reader):
    page = written((3000, 4000), ("SAMPLE copy 2026", 2900, 2100, 14))
    assert reader.read(page, ReadOptions(multiscale=False)) == []


def test_large_writing_is_found_beside_small(reader):
    page = written((800, 1600), ("EXIT", 300, 200, 280), ("staff only", 1400, 740, 14))
    assert texts(reader.read(page, ReadOptions(zoom=1))) == ["EXIT", "staff only"]


def test_lines_across_tiles_are_found_once_and_whole(reader):
    words = "one two three four five six seven eight nine ten eleven twelve thirteen"
    page = written((300, 2400), (words, 200, 60, 40), ("short", 1150, 200, 40))
    regions = reader.read(page, ReadOptions())
    assert texts(regions) == [words, "short"]


@pytest.mark.parametrize("recognise", [True, False])
def test_blank_picture_has_no_text(reader, recognise):
    assert reader.read(blank(700, 900), ReadOptions(recognise=recognise)) == []
    ramp = np.tile(np.linspace(0, 255, 640).astype(np.uint8)[None, :, None], (480, 1, 3))
    assert reader.read(ramp, ReadOptions(recognise=recognise)) == []


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (1, 300), (300, 1), (31, 33), (64, 64)])
def test_tiny_pictures_are_survived(reader, size):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for image in (noise, blank(*size)):
        for region in reader.read(image, ReadOptions(box_thresh=0.01, thresh=0.01)):
            assert region.polygon.min() >= 0
            assert (region.polygon.max(axis=0) <= size[::-1]).all()


def test_writing_in_a_tiny_picture_is_where_it_was_found(reader):
    (region,) = reader.read(written((22, 40), ("EXIT", 3, 3, 14)), ReadOptions())
    assert region.text == "EXIT"
    assert is_around(region, "EXIT", 3, 3, 14)


def test_found_lines_without_reading_have_no_text(reader):
    page = written((200, 400), ("Rear entrance", 60, 80, 30))
    (read,) = reader.read(page, ReadOptions())
    (found,) = reader.read(page, ReadOptions(recognise=False, min_score=0.9))
    assert (found.text, found.score) == ("", 0.0)
    np.testing.assert_array_equal(found.polygon, read.polygon)


def test_min_score_leaves_out_what_reads_worse(reader):
    page = written((200, 400), ("Rear entrance", 60, 80, 30))
    (region,) = reader.read(page, ReadOptions())
    assert reader.read(page, ReadOptions(min_score=1.0)) == []
    assert texts(reader.read(page, ReadOptions(min_score=region.score - 0.01))) == [region.text]


def test_settings_of_one_picture_do_not_reach_the_next(reader):
    page = written((300, 500), ("Chapter Seven", 40, 40, 30), ("limited offer", 40, 200, 18))
    before = reader.read(page, ReadOptions())
    wide = reader.read(page, ReadOptions(unclip_ratio=4.0, thresh=0.05, box_thresh=0.1, zoom=4))
    assert min(r.height_px for r in wide) > 1.3 * min(r.height_px for r in before)
    assert reader.read(page, ReadOptions(box_thresh=1.0, thresh=1.0)) == []
    after = reader.read(page, ReadOptions())
    assert texts(after) == texts(before)
    for first, second in zip(before, after, strict=True):
        np.testing.assert_array_equal(first.polygon, second.polygon)
        assert (first.score, first.detection_score) == (second.score, second.detection_score)


def test_picture_stays_as_it_was(reader):
    page = written((120, 300), ("Do not copy", 30, 40, 30))
    before = page.copy()
    assert texts(reader.read(page, ReadOptions())) == ["Do not copy"]
    np.testing.assert_array_equal(page, before)


def test_views_of_arrays_are_read_too(reader):
    page = written((240, 600), ("Do not copy", 60, 80, 60))
    assert texts(reader.read(page[::2, ::2], ReadOptions())) == ["Do not copy"]


def test_chinese_is_read(reader):
    fonts = [path for name in CJK_FONTS for path in Path("/usr/share/fonts").rglob(name)]
    if not fonts:
        pytest.skip("no Chinese font on this machine")
    page = written((200, 500), ("小心地滑 禁止转载", 40, 60, 40), font=fonts[0])
    found = "".join(texts(reader.read(page, ReadOptions())))
    assert re.sub(r"\s", "", found) == "小心地滑禁止转载"


def test_onnxruntime_reports_nothing_to_its_makers(reader):
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "paddleocr", None)
    with pytest.raises(ExtraMissingError, match=r"inpaint-serve\[ocr\]"):
        PaddleOcr.load(SPEC, [], ReaderOptions())
