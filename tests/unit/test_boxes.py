"""Boxes: IOPaint's margin, and unions of what overlaps."""

import time
from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inpaint.boxes import Box, merge_overlapping, with_margin


@st.composite
def boxes(draw, side=200):
    """A box of at least one pixel inside a picture of `side` by `side`."""
    left, top = draw(st.integers(0, side - 1)), draw(st.integers(0, side - 1))
    return Box(left, top, draw(st.integers(left + 1, side)), draw(st.integers(top + 1, side)))


@st.composite
def holes_in_pictures(draw):
    """(hole, size): a box inside a picture of any shape."""
    height, width = draw(st.integers(1, 400)), draw(st.integers(1, 400))
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    right, bottom = draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))
    return Box(left, top, right, bottom), (height, width)


def is_inside(inner, outer):
    return outer.union(inner) == outer


def iopaint_box(hole, margin, size):
    """IOPaint's arithmetic, step by step, on a hole of (left, top, right, bottom)."""
    image_height, image_width = size
    box_width, box_height = hole.right - hole.left, hole.bottom - hole.top
    cx, cy = (hole.left + hole.right) // 2, (hole.top + hole.bottom) // 2
    w, h = box_width + 2 * margin, box_height + 2 * margin
    raw_left, raw_right = cx - w // 2, cx + w // 2
    raw_top, raw_bottom = cy - h // 2, cy + h // 2
    left, right = max(raw_left, 0), min(raw_right, image_width)
    top, bottom = max(raw_top, 0), min(raw_bottom, image_height)
    if raw_left < 0:
        right += -raw_left
    if raw_right > image_width:
        left -= raw_right - image_width
    if raw_top < 0:
        bottom += -raw_top
    if raw_bottom > image_height:
        top -= raw_bottom - image_height
    return Box(max(left, 0), max(top, 0), min(right, image_width), min(bottom, image_height))


def unions_by_pairs(given_boxes):
    """The set of unions, made by the definition: while two overlap, they become one."""
    rest = set(given_boxes)
    while True:
        pair = next(((a, b) for a, b in combinations(rest, 2) if a.overlaps(b)), None)
        if pair is None:
            return rest
        rest = rest - set(pair) | {pair[0].union(pair[1])}


@given(holes_in_pictures(), st.integers(1, 300))
@example((Box(0, 0, 1, 1), (400, 400)), 128)
@example((Box(397, 3, 400, 4), (400, 400)), 1)
def test_margin_equals_iopaints(case, margin):
    hole, size = case
    assert with_margin(hole, margin, size) == iopaint_box(hole, margin, size)


@given(holes_in_pictures(), st.integers(0, 300))
@example((Box(5, 5, 8, 8), (20, 20)), 0)
def test_margin_keeps_the_hole_and_the_picture(case, margin):
    hole, size = case
    box = with_margin(hole, margin, size)
    assert is_inside(hole, box)
    assert is_inside(box, Box.of_image(size))


def test_margin_cut_off_at_an_edge_is_added_opposite():
    assert with_margin(Box(0, 50, 10, 60), 20, (100, 100)) == Box(0, 30, 50, 80)


@pytest.mark.parametrize(
    ("other", "overlaps"),
    [
        (Box(9, 9, 12, 12), True),
        (Box(10, 0, 12, 10), False),  # side by side
        (Box(0, 10, 10, 12), False),
        (Box(10, 10, 12, 12), False),  # corner to corner
        (Box(2, 2, 3, 3), True),
    ],
)
def test_overlap_means_a_shared_pixel(other, overlaps):
    assert Box(0, 0, 10, 10).overlaps(other) is overlaps
    assert other.overlaps(Box(0, 0, 10, 10)) is overlaps


@given(st.lists(boxes(), max_size=12))
def test_merging_gives_the_unions_of_all_that_overlap(many):
    merged = merge_overlapping(many)
    assert set(merged) == unions_by_pairs(many)
    assert len(set(merged)) == len(merged)


@given(st.lists(boxes(), max_size=12))
def test_merging_keeps_the_order_of_first_members(many):
    merged = merge_overlapping(many)
    firsts = [
        next(index for index, box in enumerate(many) if is_inside(box, union)) for union in merged
    ]
    assert firsts == sorted(firsts)


@given(st.lists(boxes(), max_size=12), st.integers(1, 200))
def test_merging_with_a_limit_makes_no_longer_union(many, longest_px):
    merged = merge_overlapping(many, longest_px)
    assert all(max(union.size) <= longest_px or union in many for union in merged)
    assert all(any(is_inside(box, union) for union in merged) for box in many)
    for one, other in combinations(merged, 2):
        union = one.union(other)
        assert not (one.overlaps(other) and max(union.size) <= longest_px)
        assert union not in (one, other), "one lies inside the other"


def zigzag(count):
    """Each box overlaps only the union of those before it, so that every merge leads to one more;
    given last first, as OpenCV lists contours.
    """
    steps = [Box(k % 2 * 600, 3 * k, k % 2 * 600 + 100, 3 * k + 4) for k in range(1, count)]
    return [Box(0, 0, 1000, 4), *steps][::-1]


def grid(step, side):
    """Boxes of `side` px, `step` px apart, over 2000 by 2000 pixels."""
    starts = range(0, 2000, step)
    return [Box(x, y, x + side, y + side) for y in starts for x in starts]


@pytest.mark.parametrize(
    ("many", "unions"),
    [(zigzag(1500), 1), (grid(40, 2), 2500), (grid(40, 41), 1), (grid(40, 40), 2500)],
    ids=["zigzag", "apart", "overlapping", "touching"],
)
def test_merging_thousands_takes_bounded_time(many, unions):
    began = time.perf_counter()
    merged = merge_overlapping(many)
    assert time.perf_counter() - began < 2.0  # 0.05 s on an idle core; pairwise 100 s for zigzag
    assert len(merged) == unions
    assert all(any(is_inside(box, union) for union in merged) for box in many[::97])


def test_merging_nothing_gives_nothing():
    assert merge_overlapping([]) == ()


def test_box_window_and_size_are_rows_first():
    box = Box(left=1, top=2, right=5, bottom=9)
    assert box.size == (7, 4)
    assert box.window == (slice(2, 9), slice(1, 5))
    assert Box.of_image((3, 7)) == Box(0, 0, 7, 3)
