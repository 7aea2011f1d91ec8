"""Where AnyText writes, told by a mask."""

import cv2
import numpy as np
import pytest

from deployments.models.any_text_places import find_places, outline_of
from inpaint.errors import ParamsError


def mask_of(*boxes, size=(400, 400)):
    """Boxes are left, top, right, bottom."""
    mask = np.zeros(size, np.uint8)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = 255
    mask.flags.writeable = False
    return mask


def box_of(place):
    rows, columns = (np.flatnonzero(place.area.any(axis=axis)) for axis in (1, 0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def test_places_come_in_rows_from_the_top_and_each_from_the_left():
    """Rows and columns are cells of 102 px, by the parts' centres."""
    boxes = [(210, 5, 300, 25), (10, 40, 60, 60), (10, 220, 90, 240), (220, 205, 260, 215)]
    found = find_places(mask_of(*boxes), 4)
    wanted = [boxes[1], boxes[0], boxes[2], boxes[3]]
    assert [box_of(place) for place in found.of_lines] == wanted


def test_a_lower_part_in_the_next_row_comes_later_even_if_it_is_left():
    left_below, right_above = (10, 100, 40, 112), (300, 90, 340, 102)  # centres at 105.5 and 95.5
    found = find_places(mask_of(left_below, right_above), 2)
    assert [box_of(place) for place in found.of_lines] == [right_above, left_below]


def test_parts_that_touch_at_a_corner_are_one():
    mask = mask_of((10, 10, 30, 30), (30, 30, 50, 50))
    assert len(find_places(mask, 1).of_lines) == 1
    with pytest.raises(ParamsError, match="2 lines, and the mask has 1 separate part;"):
        find_places(mask, 2)


@pytest.mark.parametrize(
    ("boxes", "lines", "message"),
    [
        ([], 1, "quotes 1 line, and the mask has 0 separate parts"),
        ([(0, 0, 9, 9), (20, 20, 40, 40)], 3, "quotes 3 lines, and the mask has 2 separate parts"),
    ],
)
def test_each_line_needs_a_part_of_its_own(boxes, lines, message):
    with pytest.raises(ParamsError, match=message):
        find_places(mask_of(*boxes), lines)


def test_parts_beyond_the_lines_belong_to_the_hole_only():
    mask = mask_of((10, 10, 60, 30), (10, 200, 60, 230))
    found = find_places(mask, 1)
    assert len(found.of_lines) == 1
    np.testing.assert_array_equal(found.hole, mask)
    np.testing.assert_array_equal(found.of_lines[0].area, mask_of((10, 10, 60, 30)))


def test_a_place_is_filled_up_to_its_outline():
    ring = np.zeros((100, 120), np.uint8)
    cv2.ellipse(ring, (60, 50), (40, 25), 20, 0, 360, 255, 4)
    found = find_places(ring, 1)
    [place] = found.of_lines
    full = cv2.ellipse(np.zeros_like(ring), (60, 50), (42, 27), 20, 0, 360, 255, -1)
    assert place.area[50, 60] == 255
    assert np.mean((place.area > 0) != (full > 0)) < 0.02
    assert set(np.unique(place.area)) == {0, 255}
    np.testing.assert_array_equal(found.hole, place.area)
    assert not (place.area < ring).any()


def test_outline_of_a_rectangle_is_its_four_corners():
    corners = outline_of(mask_of((30, 40, 130, 90)))
    assert {tuple(map(int, corner)) for corner in corners} == {
        (30, 40), (30, 89), (129, 40), (129, 89)
    }  # fmt: skip
    assert corners.dtype == np.int32


def test_outline_is_in_the_pictures_coordinates():
    for offset in (0, 57):
        mask = mask_of((30 + offset, 40 + offset, 130 + offset, 90 + offset))
        [place] = find_places(mask, 1).of_lines
        assert place.outline.min() == 30 + offset
        assert place.outline[:, 0].max() == 129 + offset
