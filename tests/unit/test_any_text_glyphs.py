"""AnyText's drawings of lines against drawings made in another way."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from deployments.models import any_text_glyphs
from deployments.models.any_text_glyphs import (
    FONT,
    check_line,
    draw_in_place,
    draw_strip,
    find_font,
)
from inpaint.errors import ParamsError, WeightsCorruptError, WeightsMissingError
from tests.standins.any_text import write_font

SIZE = (256, 320)


@pytest.fixture(scope="module")
def font(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fonts")
    write_font(folder / FONT)
    return find_font(folder)


def rectangle(centre, sides, degrees=0.0):
    """Corners of a rectangle, turned against the clock."""
    return cv2.boxPoints((centre, sides, -degrees)).round().astype(np.int32)


def rendered(font, line, centre, degrees=0.0, size=SIZE):
    """The ink of a line around a point of the glyphs' picture, by OpenCV's rotation."""
    height, width = 2 * size[0], 2 * size[1]
    picture = Image.new("L", (width, height))
    left, top, right, bottom = font.getbbox(line)
    corner = (centre[0] - (left + right) / 2, centre[1] - (top + bottom) / 2)
    ImageDraw.Draw(picture).text(corner, line, fill=255, font=font)
    turn = cv2.getRotationMatrix2D(centre, degrees, 1)
    return cv2.warpAffine(np.array(picture), turn, (width, height)) > 127


def overlap(first, second, shift=0):
    """Of two drawings: what both have, as a share of what either has; the best of small shifts."""
    moves = [(y, x) for y in range(-shift, shift + 1) for x in range(-shift, shift + 1)]
    moved = [np.roll(second, move, (0, 1)) for move in moves]
    return max((first & other).sum() / (first | other).sum() for other in moved)


def ink_box(glyphs):
    rows, columns = (np.flatnonzero(glyphs.any(axis=axis)) for axis in (1, 0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize("line", ["Hello", "Open 24h", "A", "twenty letters wide!", "gjpq"])
def test_strip_shows_the_line_in_the_middle_as_large_as_fits(font, line):
    strip = draw_strip(font, line)
    assert strip.shape == (80, 512)
    assert strip.dtype == np.bool_
    left, top, right, bottom = ink_box(strip)
    share = max((right - left) / 512, (bottom - top) / 80)
    assert 0.84 < share <= 0.92  # 0.9, whole sizes and the letters' own margins aside
    assert abs((left + right) / 2 - 256) < 4
    assert abs((top + bottom) / 2 - 40) < 4


def test_strip_is_what_a_plain_drawing_is(font):
    strip = draw_strip(font, "Hello")
    top, bottom = font.font_variant(size=50).getbbox("Hello")[1::2]
    sized = font.font_variant(size=int(50 * 0.9 * 80 / (bottom - top)))
    picture = Image.new("L", (512, 80))
    ImageDraw.Draw(picture).text((256, 40), "Hello", fill=255, font=sized, anchor="mm")
    left, top = ink_box(strip)[:2]
    other = ink_box(np.array(picture) > 127)
    moved = np.roll(np.array(picture) > 127, (top - other[1], left - other[0]), (0, 1))
    assert overlap(strip, moved) > 0.9


@pytest.mark.parametrize("degrees", [0, 20, -35, 60])
def test_short_line_fills_four_fifths_of_its_places_height(font, degrees):
    outline = rectangle((150, 120), (150, 30), degrees)
    glyphs = draw_in_place(font, 1, "Hello", outline, SIZE)
    assert glyphs.shape == (512, 640)
    assert glyphs.dtype == np.bool_
    sized = font.font_variant(size=int(0.8 * min(cv2.minAreaRect(2 * outline)[1])))
    assert overlap(glyphs, rendered(sized, "Hello", (300, 240), degrees), shift=2) > 0.75


def test_long_line_is_shrunk_to_its_places_length(font):
    line = "twenty letters wide!"
    outline = rectangle((150, 120), (120, 60))
    right, bottom = font.font_variant(size=60).getbbox(line)[2:]
    sized = font.font_variant(size=int(0.85 * 240 * bottom / right))
    glyphs = draw_in_place(font, 1, line, outline, SIZE)
    assert overlap(glyphs, rendered(sized, line, (300, 240)), shift=2) > 0.75


def test_upright_place_has_its_characters_one_below_another(font):
    outline = rectangle((60, 120), (30, 200))
    glyphs = draw_in_place(font, 1, "HOT", outline, SIZE)
    left, top, right, bottom = ink_box(glyphs)
    assert 90 <= left < right <= 150  # where the place is
    assert top >= 20
    rows = glyphs.any(axis=1)
    starts = np.flatnonzero(rows[1:] & ~rows[:-1]) + 1
    assert len(starts) == 3
    sized = font.font_variant(size=int(0.8 * 60))
    heights = [sized.getbbox(character)[3] for character in "HOT"]
    np.testing.assert_allclose(np.diff(starts), heights[:2], atol=2)
    assert bottom - top < sum(heights)


def test_a_little_tilt_counts_as_none_for_upright_places_only(font):
    upright = draw_in_place(font, 1, "HOT", rectangle((80, 120), (30, 200), 6), SIZE)
    assert (np.diff(np.flatnonzero(upright.any(axis=1))) > 1).sum() == 2  # gaps between rows
    tilted = draw_in_place(font, 1, "Hello", rectangle((150, 120), (200, 30), 6), SIZE)
    level = draw_in_place(font, 1, "Hello", rectangle((150, 120), (200, 30)), SIZE)
    assert overlap(tilted, level) < 0.8


def test_a_place_too_small_for_its_line_is_refused(font):
    dot = np.array([[10, 10], [12, 10], [12, 11]], np.int32)
    with pytest.raises(ParamsError, match=r"line 3 does not fit .* 2x1 px; mark more"):
        draw_in_place(font, 3, "twenty letters wide!", dot, SIZE)


@pytest.mark.parametrize("outline", [[[9, 9]], [[9, 9], [40, 9]]])
def test_a_place_without_breadth_is_refused(font, outline):
    with pytest.raises(ParamsError, match="does not fit"):
        draw_in_place(font, 1, "Hello", np.array(outline, np.int32), SIZE)


def test_characters_that_the_font_lacks_are_refused_by_name(font):
    with pytest.raises(ParamsError, match="line 2 has 你 好, for which"):
        check_line(font, 2, "a你 好b")
    check_line(font, 1, "Hello, dog 24h!")


def test_a_line_of_nothing_visible_is_refused(font):
    with pytest.raises(ParamsError, match="line 1 has no visible character"):
        check_line(font, 1, "\u200b")


def test_published_font_comes_before_the_systems(font):
    assert font.getname() == ImageFont.load_default(10).getname()


def test_damaged_font_is_named(tmp_path):
    (tmp_path / FONT).write_bytes(b"no font")
    with pytest.raises(WeightsCorruptError, match=f"{FONT} cannot be used"):
        find_font(tmp_path)


def test_missing_font_is_found_on_the_system_or_named(tmp_path, monkeypatch):
    write_font(tmp_path / "other.ttf")
    monkeypatch.setattr(any_text_glyphs, "OTHER_FONTS", (str(tmp_path / "other.ttf"),))
    assert find_font(tmp_path).getname() == ImageFont.load_default(10).getname()
    monkeypatch.setattr(any_text_glyphs, "OTHER_FONTS", ("no-such-font.ttf",))
    with pytest.raises(WeightsMissingError, match=f"{FONT}, which is published"):
        find_font(tmp_path)
