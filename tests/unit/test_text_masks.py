"""Masks of text and flat fills, on rendered letters whose every pixel is known."""

import time
from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFilter, ImageFont

from inpaint.flat_fill import fill_flat
from inpaint.polygons import around, grown
from inpaint.text_masks import MaskMode, margin_px, text_mask
from inpaint.text_strokes import REACH, strokes
from inpaint.texts import TextRegion

STYLES = {
    "dark on light": ((235, 230, 220), {"fill": (20, 20, 30)}),
    "light on dark": ((30, 40, 60), {"fill": (250, 250, 250)}),
    "coloured": ((90, 160, 90), {"fill": (220, 40, 60)}),
    "outlined": (
        (120, 130, 150),
        {"fill": (255, 255, 255), "stroke_width": 2, "stroke_fill": (0, 0, 0)},
    ),
    "semi-transparent": ((60, 90, 120), {"fill": (255, 255, 255, 140)}),
}


def ground(colour, size=(120, 420), noise=2.0):
    """A photo's ground: a slope and a little noise."""
    slope = np.linspace(-20, 20, size[1])[None, :, None]
    return np.clip(np.array(colour) + slope + noise * grain(size), 0, 255).astype(np.uint8)


@cache
def grain(size):
    return np.random.default_rng(0).normal(0, 1, (*size, 3))


def written(image, text="Gypsy quay 24", at=(40, 40), size=36, angle=0, shadow=False, **style):
    """The picture with the text, the region as a detector finds it, and the true glyphs."""
    font = ImageFont.load_default(size)
    layer = Pictures.new("RGBA", (image.shape[1], image.shape[0]))
    draw = ImageDraw.Draw(layer)
    if shadow:
        draw.text((at[0] + 3, at[1] + 3), text, font=font, fill=(0, 0, 0, 200))
        layer = layer.filter(ImageFilter.GaussianBlur(1))
        draw = ImageDraw.Draw(layer)
    draw.text(at, text, font=font, **style)
    left, top, right, bottom = draw.textbbox(at, text, font=font)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    if angle:
        centre = (image.shape[1] / 2, image.shape[0] / 2)
        layer = layer.rotate(angle, resample=Pictures.Resampling.BICUBIC)
        turn = cv2.getRotationMatrix2D(centre, angle, 1)
        corners = (corners @ turn[:, :2].T + turn[:, 2]).astype(np.float32)
    canvas = Pictures.fromarray(image).convert("RGBA")
    canvas.alpha_composite(layer)
    picture = np.asarray(canvas.convert("RGB"))
    return picture, region_of(corners), (picture != image).any(axis=2)


def region_of(corners):
    return TextRegion(np.asarray(corners, np.float32), "text", 0.9, 0.9)


def box_region(left, top, right, bottom):
    return region_of([[left, top], [right, top], [right, bottom], [left, bottom]])


def covered(mask, glyphs):
    return (mask[glyphs] > 0).mean()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("angle", [0, 15])
@pytest.mark.parametrize("mode", [MaskMode.POLYGON, MaskMode.STROKE])
def test_mask_covers_the_glyphs(style, angle, mode):
    colour, paint = STYLES[style]
    size = (220, 420) if angle else (120, 420)
    picture, region, glyphs = written(ground(colour, size), angle=angle, **paint)
    mask = text_mask(picture, [region], mode, 0.1)
    assert covered(mask, glyphs) >= 0.95


@pytest.mark.parametrize("size", [12, 24, 60])
def test_stroke_covers_letters_of_any_size(size):
    image = ground((200, 190, 170), (4 * size, 16 * size))
    picture, region, glyphs = written(image, at=(size, size), size=size, fill=(150, 20, 20))
    assert covered(text_mask(picture, [region], MaskMode.STROKE, 0), glyphs) >= 0.95


def test_stroke_covers_a_soft_shadow():
    picture, region, glyphs = written(ground((150, 160, 170)), shadow=True, fill=(255, 240, 90))
    assert covered(text_mask(picture, [region], MaskMode.STROKE, 0), glyphs) >= 0.95


def test_stroke_follows_uniform_letters_over_a_changing_ground():
    image = ground((60, 60, 70))
    image[:, 200:] = ground((190, 150, 40))[:, 200:]
    picture, region, glyphs = written(image, fill=(255, 255, 255))
    mask = text_mask(picture, [region], MaskMode.STROKE, 0)
    assert covered(mask, glyphs) >= 0.9


@pytest.mark.parametrize("style", STYLES)
def test_stroke_leaves_most_of_the_polygon(style):
    colour, paint = STYLES[style]
    picture, region, _ = written(ground(colour), **paint)
    stroke = text_mask(picture, [region], MaskMode.STROKE, 0)
    polygon = text_mask(picture, [region], MaskMode.POLYGON, 0)
    assert 0 < np.count_nonzero(stroke) < 0.8 * np.count_nonzero(polygon)


@pytest.mark.parametrize("angle", [0, 15])
def test_stroke_stays_near_the_polygon(angle):
    picture, region, _ = written(ground((90, 160, 90), (220, 420)), angle=angle, fill=(0, 0, 0))
    mask = text_mask(picture, [region], MaskMode.STROKE, 0.1)
    reach = REACH * region.height_px + 2 + margin_px(region, 0.1)
    window = around(region.polygon, reach + 5, mask.shape)
    allowed = np.zeros_like(mask)
    allowed[window.window] = grown(region.polygon, reach, window)
    assert not mask[allowed == 0].any()


def test_stroke_takes_the_polygon_on_a_busy_ground():
    noise = np.random.default_rng(1).integers(0, 256, (120, 420, 3), dtype=np.uint8)
    region = box_region(60, 40, 360, 80)
    np.testing.assert_array_equal(
        text_mask(noise, [region], MaskMode.STROKE, 0.1)[40:80, 60:360], 255
    )


def test_stroke_takes_the_polygon_where_there_are_no_letters():
    image = np.full((120, 420, 3), 128, np.uint8)
    region = box_region(60, 40, 360, 80)
    assert strokes(image, region, 1) is None
    stroke = text_mask(image, [region], MaskMode.STROKE, 0.1)
    np.testing.assert_array_equal(stroke, text_mask(image, [region], MaskMode.POLYGON, 0.1))


def test_stroke_takes_the_polygon_for_the_piece_whose_letters_do_not_show():
    image = ground((230, 230, 230), noise=0)
    image[:, 200:] = (20, 20, 30)
    picture, region, _ = written(image, fill=(20, 20, 30))
    mask = text_mask(picture, [region], MaskMode.STROKE, 0)
    hidden = mask[60:64, 240 : int(region.polygon[1, 0]) - 8]
    assert (hidden > 0).mean() > 0.9


def test_polygon_grows_by_the_margin_on_all_sides():
    image = np.zeros((200, 300, 3), np.uint8)
    region = box_region(100, 80, 200, 120)
    growth = margin_px(region, 0.2)
    rows, columns = np.nonzero(text_mask(image, [region], MaskMode.POLYGON, 0.2))
    assert (rows.min(), rows.max()) == (80 - growth, 120 + growth)
    assert (columns.min(), columns.max()) == (100 - growth, 200 + growth)


def test_polygon_grows_to_what_a_round_kernel_makes_of_it():
    polygon = np.array([[60, 40], [220, 75], [212, 110], [52, 75]], np.float32)
    plain, wide = (
        text_mask(np.zeros((160, 280, 3), np.uint8), [region_of(polygon)], MaskMode.POLYGON, margin)
        for margin in (0, 0.3)
    )
    extra = margin_px(region_of(polygon), 0.3) - margin_px(region_of(polygon), 0)
    expected = cv2.dilate(plain, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, [2 * extra + 1] * 2))
    assert np.count_nonzero(wide != expected) < 0.02 * np.count_nonzero(expected)


def test_box_holds_the_whole_polygon():
    region = region_of([[60, 40], [220, 75], [212, 110], [52, 75]])
    mask = text_mask(np.zeros((160, 280, 3), np.uint8), [region], MaskMode.BOX, 0)
    assert (mask[40:111, 52:221] == 255).all()


@pytest.mark.parametrize("mode", MaskMode)
def test_masks_are_cut_at_the_edges(mode):
    picture, region, _ = written(ground((20, 20, 20)), at=(-40, -12), fill=(255, 255, 255))
    mask = text_mask(picture, [region, box_region(380, 90, 600, 300)], mode, 0.3)
    assert mask.shape == picture.shape[:2]
    assert mask[:10, :10].any()


@pytest.mark.parametrize("mode", MaskMode)
@pytest.mark.parametrize(
    "corners", [(0, 0, 1, 1), (50, 50, 50, 50), (10, 10, 300, 10), (500, 500, 600, 520)]
)
def test_tiny_flat_and_outlying_regions_do_no_harm(mode, corners):
    mask = text_mask(ground((99, 99, 99)), [box_region(*corners)], mode, 0.1)
    assert set(np.unique(mask)) <= {0, 255}
    assert np.count_nonzero(mask) < 5000


@pytest.mark.parametrize("mode", MaskMode)
def test_polygons_of_more_corners_are_masked(mode):
    corners = [[60, 50], [150, 40], [240, 50], [240, 90], [150, 80], [60, 90]]
    mask = text_mask(ground((99, 99, 99)), [region_of(corners)], mode, 0)
    assert (mask[55:75, 70:230] == 255).all()


@pytest.mark.parametrize("mode", MaskMode)
def test_no_regions_make_an_empty_mask(mode):
    mask = text_mask(np.zeros((5, 7, 3), np.uint8), [], mode, 0.1)
    assert (mask.shape, mask.dtype, mask.any()) == ((5, 7), np.uint8, False)


@pytest.mark.parametrize("mode", MaskMode)
def test_the_picture_is_only_read(mode):
    picture, region, _ = written(ground((200, 190, 180)), fill=(0, 0, 0))
    before = picture.copy()
    picture.flags.writeable = False
    mask = text_mask(picture, [region], mode, 0.1)
    np.testing.assert_array_equal(picture, before)
    assert set(np.unique(mask)) == {0, 255}


def test_text_as_large_as_the_picture_is_masked_in_time():
    image = ground((200, 190, 180), (1500, 2000))
    region = box_region(0, 0, 1999, 1499)
    start = time.perf_counter()
    mask = text_mask(image, [region], MaskMode.STROKE, 0.1)
    assert time.perf_counter() - start < 2
    assert mask.all()


def flat_case(image, **style):
    picture, region, _ = written(image, fill=(200, 30, 30), **style)
    return picture.copy(), region, text_mask(picture, [region], MaskMode.STROKE, 0)


def test_flat_fill_is_exact_on_a_constant_ground():
    clean = np.full((120, 420, 3), (12, 200, 77), np.uint8)
    picture, region, mask = flat_case(clean)
    rest, left = fill_flat(picture, mask, [region])
    np.testing.assert_array_equal(picture, clean)
    assert not rest.any()
    assert left == []


def test_flat_fill_is_exact_on_a_gradient():
    rows, columns = np.indices((120, 420))
    clean = np.stack([20 + columns // 2, 200 - rows, 10 + rows + columns // 2], axis=2)
    clean = clean.astype(np.uint8)
    picture, region, mask = flat_case(clean)
    _, left = fill_flat(picture, mask, [region])
    assert left == []
    assert np.abs(picture.astype(int) - clean).max() <= 1


def test_flat_fill_refuses_texture():
    clean = ground((128, 128, 128), noise=12)
    picture, region, mask = flat_case(clean)
    before = picture.copy()
    rest, left = fill_flat(picture, mask, [region])
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(rest, mask)
    assert left == [region]


def test_flat_fill_changes_masked_pixels_alone_and_not_the_mask():
    picture, region, mask = flat_case(np.full((120, 420, 3), 90, np.uint8))
    mask.flags.writeable = False
    before = picture.copy()
    fill_flat(picture, mask, [region])
    np.testing.assert_array_equal(picture[mask == 0], before[mask == 0])


def test_flat_fill_tells_flat_lines_from_others():
    clean = np.full((240, 420, 3), 90, np.uint8)
    clean[120:] = ground((128, 128, 128), noise=15)
    picture, upper, _ = written(clean, fill=(255, 255, 255))
    picture, lower, _ = written(picture, at=(40, 170), fill=(255, 255, 255))
    mask = text_mask(picture, [upper, lower], MaskMode.POLYGON, 0)
    picture = picture.copy()
    rest, left = fill_flat(picture, mask, [upper, lower])
    assert left == [lower]
    assert not rest[:110].any()
    assert rest[160:].any()
    np.testing.assert_array_equal(picture[:110], clean[:110])


def test_flat_fill_of_the_whole_picture_is_refused():
    picture = np.full((40, 40, 3), 90, np.uint8)
    mask = np.full((40, 40), 255, np.uint8)
    region = box_region(0, 0, 40, 40)
    rest, left = fill_flat(picture, mask, [region])
    assert left == [region]
    assert rest.all()


@pytest.mark.parametrize("mode", MaskMode)
def test_tall_letters_with_the_largest_margin_are_masked_at_once(mode):
    image = np.full((700, 1200, 3), 200, np.uint8)
    cv2.putText(image, "TOW", (100, 500), cv2.FONT_HERSHEY_SIMPLEX, 13.0, (10, 10, 10), 40)
    corners = np.array([(90, 200), (1100, 200), (1100, 510), (90, 510)], np.float32)
    region = TextRegion(corners, "TOW", 0.9, 0.9)
    began = time.process_time()
    mask = text_mask(image, [region], mode, 2.0)
    assert time.process_time() - began < 1  # a kernel of that size takes a quarter of a minute
    assert mask.all()  # two line heights reach everywhere


def test_a_polygon_grows_as_far_as_the_widest_pen():
    corners = np.array([(0, 0), (50, 0), (50, 20), (0, 20)], np.float32)
    for growth_px in (16_384, 1e6):
        assert grown(corners, growth_px, around(corners, 30, (60, 90))).all()
