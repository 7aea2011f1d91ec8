"""Views, lines and strips: what lies between a picture and the two networks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.models.text_crops import (
    batches,
    cut_out,
    first_turn,
    other_turns,
    pieces,
    turned_polygon,
)
from deployments.models.text_lines import Line, in_reading_order, merge, unnest
from deployments.models.text_views import (
    MAX_SOURCE_PX,
    OVERLAP_PX,
    TILE_PX,
    plan_views,
    plan_whole,
)
from inpaint.texts import TextRegion

SIDES = st.integers(1, 12_000)


def quad(left, top, right, bottom):
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def line(left, top, right, bottom, scale=1.0, cut=False, score=0.9):
    return Line(quad(left, top, right, bottom), score, scale, cut)


def region(left, top, right, bottom, text="", score=0.9):
    return TextRegion(quad(left, top, right, bottom), text, score, 0.9)


def boxes(lines):
    return sorted((found.box.left, found.box.top, found.box.right, found.box.bottom)
                  for found in lines)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(height=SIDES, width=SIDES, zoom=st.sampled_from([0.25, 1, 1.5, 4]))
def test_every_scale_sees_the_whole_picture_within_the_budget(height, width, zoom):
    budget = 4_000_000
    views = plan_views((height, width), zoom, budget)
    pixels = sum(v.box.size[0] * v.box.size[1] * v.scale**2 for v in views)
    assert pixels <= budget or len(views) == 1
    assert views[0].scale <= zoom
    for scale in {view.scale for view in views}:
        level = [view.box for view in views if view.scale == scale]
        assert {box.left for box in level} >= {0}
        assert max(box.right for box in level) == width
        assert max(box.bottom for box in level) == height
        assert all(max(box.size) * scale <= TILE_PX + scale for box in level)
        assert all(max(box.size) <= MAX_SOURCE_PX + 1 for box in level)


def test_neighbouring_tiles_overlap():
    first, second, *_ = plan_views((500, 3000), 1, 8_000_000)
    assert first.box.right - second.box.left >= OVERLAP_PX - 1


def test_the_coarsest_scale_shows_the_whole_small():
    views = plan_views((3000, 4000), 1.5, 8_000_000)
    assert views[-1].box.size == (3000, 4000)
    assert max(views[-1].box.size) * views[-1].scale <= 480


def test_endless_strips_are_cut_into_views_that_fit_16_bits():
    for views in (plan_views((10, 6_000_000), 1, 8_000_000), plan_whole((10, 6_000_000), 960)):
        assert all(max(view.box.size) < 2**15 for view in views)


def test_a_line_found_in_two_tiles_is_one():
    assert len(merge([line(100, 10, 300, 30), line(101, 11, 300, 30)])) == 1


def test_parts_of_a_cut_line_are_joined_across_several_tiles():
    parts = [
        line(0, 10, 1280, 40, cut=True),
        line(1150, 11, 2430, 41, cut=True),
        line(2300, 10, 2600, 40, cut=True),
    ]
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        (joined,) = merge([parts[n] for n in order])
        np.testing.assert_allclose(joined.quad, quad(0, 10, 2600, 41), atol=1)


def test_slanted_parts_are_joined_along_their_slant():
    def slanted(start, end):
        top = np.array([[start, 100 + start * 0.2], [end, 100 + end * 0.2]])
        points = np.concatenate([top, top[::-1] + np.array([0, 30])]).astype(np.float32)
        return Line(points, 0.9, 1.0, is_cut=True)

    (joined,) = merge([slanted(0, 700), slanted(600, 1500)])
    assert joined.box.left <= 1
    assert joined.box.right >= 1499
    assert joined.box.bottom - joined.box.top < 350


def test_lines_in_one_row_that_do_not_overlap_stay_apart():
    rows = [line(0, 10, 200, 40, cut=True), line(230, 10, 400, 40, cut=True)]
    assert len(merge(rows)) == 2


def test_rows_below_each_other_stay_apart():
    assert len(merge([line(0, y, 400, y + 20, cut=True) for y in (0, 18, 36)])) == 3


def test_what_a_border_left_of_a_line_goes():
    whole, half = line(0, 100, 400, 160), line(10, 100, 400, 120, cut=True)
    assert boxes(merge([half, whole])) == [(0, 100, 400, 160)]


def test_of_two_scales_the_sharper_outline_stays():
    assert boxes(merge([line(0, 0, 210, 26, 0.25), line(2, 2, 208, 24, 1.0)])) == [(2, 2, 208, 24)]
    huge = [line(0, 0, 900, 300, 0.25), line(20, 40, 880, 260, 1.0)]
    assert boxes(merge(huge)) == [(0, 0, 900, 300)]


def test_thick_bars_of_a_coarse_scale_give_way_to_what_is_in_them():
    rows = [line(10, y, 400, y + 10) for y in (5, 20, 35)]
    assert len(merge([line(0, 0, 410, 50, scale=0.25), *rows])) == 3


def test_thick_bars_on_a_part_of_a_finer_line_go():
    assert boxes(merge([line(300, 0, 700, 90, scale=0.1), line(0, 20, 600, 60)])) == [
        (0, 20, 600, 60)
    ]


def test_thick_bars_stay_where_finer_scales_found_only_the_row_beside():
    assert len(merge([line(0, 0, 400, 60, scale=0.2), line(0, 50, 400, 80)])) == 2


def test_coarse_line_stays_where_a_finer_scale_saw_little_of_it():
    assert len(merge([line(0, 0, 400, 30, scale=0.25), line(0, 5, 60, 15)])) == 2


def test_the_better_read_of_nested_outlines_stays():
    blob = region(0, 0, 400, 100, "rnm", 0.3)
    rows = [region(0, y, 400, y + 30, "good", 0.95) for y in (0, 35, 70)]
    assert unnest([blob, *rows]) == rows
    sign = region(0, 0, 400, 100, "EXIT", 0.99)
    scraps = [region(x, 20, x + 30, 60, "l", 0.6) for x in (10, 110)]
    assert unnest([*scraps, sign]) == [sign]


def test_small_writing_inside_an_unreadable_logo_and_the_logo_both_stay():
    logo, label = region(0, 0, 400, 400, "", 0.0), region(50, 50, 150, 70, "since 1900", 0.9)
    assert unnest([logo, label]) == [logo, label]


def test_reading_order_is_by_rows():
    a, b, c = region(300, 12, 400, 30), region(0, 10, 100, 32), region(0, 60, 100, 80)
    assert in_reading_order([c, a, b]) == [b, a, c]


def test_crops_of_any_angle_are_upright():
    image = np.zeros((200, 200, 3), np.uint8)
    image[50:100, 50:150] = (255, 0, 0)
    image[50:100, 50:60] = (0, 0, 255)
    crop = cut_out(image, quad(50, 50, 150, 100))
    assert crop.shape == (50, 100, 3)
    assert crop[25, 5].tolist() == [255, 0, 0]  # blue, as BGR
    assert crop[25, 60].tolist() == [0, 0, 255]
    assert cut_out(image, quad(7, 7, 7, 7)).shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("size", "first", "others"),
    [((20, 100), 0, (2,)), ((29, 20), 0, (2,)), ((40, 20), 1, (3, 0)), ((100, 20), 1, (3,))],
)
def test_tall_crops_are_turned(size, first, others):
    crop = np.zeros((*size, 3), np.uint8)
    assert (first_turn(crop), other_turns(crop)) == (first, others)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_turned_polygon_starts_where_the_turned_crop_does(turn):
    corners = np.zeros((4, 6, 3), np.uint8)
    for value, (y, x) in enumerate([(0, 0), (0, 5), (3, 5), (3, 0)]):
        corners[y, x] = value
    first = int(np.rot90(corners, turn)[0, 0, 0])
    polygon = quad(0, 0, 5, 3)
    np.testing.assert_array_equal(turned_polygon(polygon, turn)[0], polygon[first])


def test_long_strips_are_cut_between_words():
    strip = np.full((20, 1000, 3), 255, np.uint8)
    strip[5:15:2, :490] = strip[5:15:2, 500:] = 0
    left, right = pieces(strip)
    assert 488 <= left.shape[1] <= 502
    assert left.shape[1] + right.shape[1] == 1000
    assert len(pieces(strip[:, :400])) == 1


def test_batches_hold_each_strip_once_and_like_with_like():
    rng = np.random.default_rng(0)
    strips = [np.zeros((20, int(width), 3), np.uint8) for width in rng.integers(5, 900, 60)]
    groups = list(batches(strips))
    assert sorted(n for group in groups for n in group) == list(range(60))
    assert 5 < len(groups) < 60
    widest = [max(strips[n].shape[1] for n in group) for group in groups]
    assert widest == sorted(widest)
    assert list(batches([])) == []
