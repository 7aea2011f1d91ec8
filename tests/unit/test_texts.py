"""Regions of text and the options of a reading."""

import numpy as np
import pytest
from pydantic import ValidationError

from inpaint.texts import ReadOptions, TextRegion


def region(points):
    return TextRegion(np.array(points, np.float32), "", 0.0, 0.0)


def rectangle(width, height, degrees=0.0):
    points = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return points @ turn + 500


@pytest.mark.parametrize("degrees", [0, 15, 45, 90, 135, 180, 270, 333])
@pytest.mark.parametrize("size", [(100, 20), (20, 20), (8, 20)])
def test_height_of_a_quad_is_the_same_at_any_angle(size, degrees):
    assert region(rectangle(*size, degrees)).height_px == pytest.approx(20, abs=0.01)


def test_height_of_a_slanted_quad_is_the_mean_of_its_ends():
    assert region([[0, 0], [100, 0], [100, 30], [0, 20]]).height_px == pytest.approx(25)


@pytest.mark.parametrize("bends", [6, 14, 40])
def test_height_of_a_bent_strip_is_that_across_it(bends):
    angles = np.linspace(0, np.pi / 2, bends)
    arc = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    strip = np.concatenate([300 * arc, 280 * arc[::-1]]) + 400
    assert region(strip).height_px == pytest.approx(20, rel=0.05)


def test_height_of_a_straight_polygon_equals_that_of_its_quad():
    points = [[0, 0], [50, 0], [100, 0], [100, 20], [50, 20], [0, 20]]
    assert region(points).height_px == pytest.approx(20, abs=0.01)


@pytest.mark.parametrize("points", [[[3, 3]], [[0, 0], [10, 0]], [[5, 5]] * 4, [[5, 5]] * 7])
def test_height_of_a_degenerate_polygon_is_a_number(points):
    assert region(points).height_px == pytest.approx(0)


@pytest.mark.parametrize(
    "given",
    [{"thresh": 0}, {"box_thresh": 1.1}, {"unclip_ratio": 0}, {"zoom": 9}, {"min_score": -1},
     {"tiles": True}],
)  # fmt: skip
def test_options_out_of_range_are_refused(given):
    with pytest.raises(ValidationError):
        ReadOptions(**given)
