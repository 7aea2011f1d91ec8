"""Masks: binary where they enter, holes in OpenCV's order, growing, polygons."""

import time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from inpaint import masks
from inpaint.boxes import Box
from inpaint.masks import binarize, bounds, dilate, from_polygons, holes


@st.composite
def binary_masks(draw):
    """Mostly empty, so that there are several holes, of up to 40 by 40 pixels."""
    shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    return np.where(
        rng.random(shape) < draw(st.sampled_from([0, 0.02, 0.1, 0.5, 1])), 255, 0
    ).astype(np.uint8)


def contour_boxes(mask):
    """Bounding boxes of the whole mask's outer contours, as IOPaint makes them."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    rectangles = [cv2.boundingRect(contour) for contour in contours]
    return tuple(Box(x, y, x + width, y + height) for x, y, width, height in rectangles)


def test_binarize_cuts_between_127_and_128():
    grey = np.array([[0, 1, 127], [128, 129, 255]], np.uint8)
    np.testing.assert_array_equal(binarize(grey), [[0, 0, 0], [255, 255, 255]])


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_binarize_makes_a_new_binary_array(grey):
    grey.flags.writeable = False
    mask = binarize(grey)
    np.testing.assert_array_equal(mask, (grey > 127) * np.uint8(255))
    assert mask.dtype == np.uint8
    assert not np.shares_memory(mask, grey)


@given(binary_masks())
def test_holes_are_the_contours_of_the_whole_mask(mask):
    assert holes(mask) == contour_boxes(mask)


@given(binary_masks())
def test_holes_cover_every_masked_pixel(mask):
    rest = mask.copy()
    for hole in holes(mask):
        rest[hole.window] = 0
    assert not rest.any()


def test_holes_inside_a_ring_belong_to_it():
    mask = np.zeros((20, 20), np.uint8)
    mask[2:18, 2:18] = 255
    mask[4:16, 4:16] = 0
    mask[9, 9] = 255
    assert holes(mask) == (Box(2, 2, 18, 18),)


@given(binary_masks())
def test_bounds_hold_exactly_the_masked_pixels(mask):
    rows, columns = np.nonzero(mask)
    expected = (
        Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if rows.size else None
    )
    assert bounds(mask) == expected


def test_holes_of_noise_are_one(monkeypatch):
    mask = np.zeros((30, 40), np.uint8)
    mask[5:26:2, 5:36:2] = 255
    assert len(holes(mask)) == 11 * 16
    monkeypatch.setattr(masks, "MAX_HOLES", 11 * 16)
    assert len(holes(mask)) == 11 * 16
    monkeypatch.setattr(masks, "MAX_HOLES", 11 * 16 - 1)
    assert holes(mask) == (Box(5, 5, 36, 26),)


@pytest.mark.parametrize("radius_px", [0, 1, 2, 7])
def test_dilate_grows_by_its_radius_in_every_direction(radius_px):
    mask = np.zeros((31, 41), np.uint8)
    mask[15, 20] = 255
    mask.flags.writeable = False
    grown = dilate(mask, radius_px)
    expected = Box(20 - radius_px, 15 - radius_px, 21 + radius_px, 16 + radius_px)
    assert bounds(grown) == expected
    assert set(np.unique(grown)) <= {0, 255}
    assert not np.shares_memory(mask, grown)


@pytest.mark.parametrize("radius_px", [13, 40])
@given(mask=binary_masks())
def test_dilate_is_opencvs_at_every_radius(radius_px, mask):
    side = 2 * radius_px + 1
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    wide = np.pad(mask, ((0, 30), (3, 160)))
    np.testing.assert_array_equal(dilate(wide, radius_px), cv2.dilate(wide, ellipse))


@pytest.mark.parametrize("radius_px", [13, 40])
@given(mask=binary_masks())
def test_dilate_of_a_tall_mask_is_opencvs(radius_px, mask):
    side = 2 * radius_px + 1
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    tall = np.pad(mask, ((3, 160), (0, 30)))
    np.testing.assert_array_equal(dilate(tall, radius_px), cv2.dilate(tall, ellipse))


@pytest.mark.parametrize("mask", [np.zeros((40, 700), np.uint8), np.full((2, 3), 255, np.uint8)])
def test_dilate_of_nothing_and_of_everything_changes_nothing(mask):
    for radius_px in (5, 100, masks.FAR_PX + 1):
        np.testing.assert_array_equal(dilate(mask, radius_px), mask)


def test_dilate_by_more_than_the_farthest_is_a_circle():
    mask = np.zeros((700, 900), np.uint8)
    mask[300, 400] = mask[310, 420] = 255
    radius_px = masks.FAR_PX + 10
    rows, columns = np.indices(mask.shape)
    near = [np.hypot(rows - y, columns - x) <= radius_px for y, x in ((300, 400), (310, 420))]
    np.testing.assert_array_equal(dilate(mask, radius_px) > 0, near[0] | near[1])


@pytest.mark.parametrize("shape", [(200_000, 1), (1, 200_000), (20_000, 10)])
@pytest.mark.parametrize("radius_px", [masks.FAR_PX, masks.FAR_PX + 1])
def test_dilate_takes_as_long_for_a_line_as_for_a_square(shape, radius_px):
    mask = np.zeros(shape, np.uint8)
    mask[0, 0] = 255
    began = time.process_time()
    grown = dilate(mask, radius_px)
    assert time.process_time() - began < 0.5  # seconds for each turn of a loop over the rows
    assert np.count_nonzero(grown) == np.count_nonzero(grown[: radius_px + 1, : radius_px + 1])


def test_dilate_rounds_corners():
    mask = np.zeros((31, 31), np.uint8)
    mask[15, 15] = 255
    assert dilate(mask, 7)[8, 8] == 0


def test_polygons_that_overlap_are_both_filled():
    square = np.array([[2, 2], [10, 2], [10, 10], [2, 10]], np.float32)
    mask = from_polygons([square, square + 4], (20, 20))
    assert mask[8, 8] == mask[3, 3] == mask[13, 13] == 255
    assert mask[3, 13] == mask[0, 0] == 0


def test_polygons_are_x_then_y_and_cut_at_the_edge():
    corners = np.array([[-5.0, 1.4], [30.0, 1.4], [30.0, 2.6], [-5.0, 2.6]])
    mask = from_polygons([corners], (6, 9))
    np.testing.assert_array_equal(np.nonzero(mask.any(axis=1))[0], [1, 2, 3])
    assert (mask[1:4] == 255).all()


def test_polygons_none_give_an_empty_mask():
    assert not from_polygons([], (3, 4)).any()
