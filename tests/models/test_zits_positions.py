"""ZITS's positional encoding against the authors' way: growing the known part step by step."""

import cv2
import numpy as np
import pytest

from deployments.models.zits_positions import encode_positions, shrink_mask
from inpaint.arrays import Mask

UP_LEFT, DOWN_LEFT, UP_RIGHT, DOWN_RIGHT = range(4)


def grown(known, rows, columns):
    """Where a pixel of `known` is among the neighbours; beyond the border lies its reflection."""
    height, width = known.shape
    around = np.pad(known, 1, mode="reflect")
    return np.any(
        [around[1 + y : 1 + y + height, 1 + x : 1 + x + width] for y in rows for x in columns],
        axis=0,
    )


def encode_by_growing(holes):
    """Depths and directions on a grid, one layer after the other."""
    known = ~holes
    depths = np.zeros(holes.shape, int)
    directions = np.zeros((*holes.shape, 4), int)
    for depth in range(1, 2 * max(holes.shape)):
        for index, (rows, columns) in enumerate(
            [((-1, 0), (-1, 0)), ((0, 1), (-1, 0)), ((-1, 0), (0, 1)), ((0, 1), (0, 1))]
        ):
            directions[grown(known, rows, columns) & ~known, index] = 1
        wider = grown(known, (-1, 0, 1), (-1, 0, 1))
        depths[wider & ~known] = min(depth, 127)
        known = wider
    return depths, directions


def no_holes(side: int = 256) -> Mask:
    return np.zeros((side, side), np.uint8)


def scribbled(side: int, seed: int) -> Mask:
    """Blobs, strokes, single pixels, and holes that touch the border."""
    rng = np.random.default_rng(seed)
    mask = no_holes(side)
    for _ in range(4):
        start, end, centre = rng.integers(-20, side + 20, (3, 2)).tolist()
        cv2.line(mask, start, end, [255], int(rng.integers(1, 40)))
        cv2.circle(mask, centre, int(rng.integers(1, 90)), [255], -1)
    mask[rng.random(mask.shape) < 0.001] = 255
    return mask


@pytest.mark.parametrize("seed", range(8))
def test_encoding_equals_growing(seed):
    mask = scribbled(256, seed)
    depths, directions = encode_by_growing(mask > 0)
    found = encode_positions(mask)
    np.testing.assert_array_equal(found.depths, depths)
    np.testing.assert_array_equal(found.directions, directions)


@pytest.mark.parametrize("side", [288, 512, 544, 1024])
def test_larger_picture_takes_the_codes_of_its_grid_inside_its_holes(side):
    mask = scribbled(side, side)
    depths, directions = encode_by_growing(shrink_mask(mask, 256) > 0)
    nearest = np.arange(side) * 256 // side
    inside = mask > 0
    found = encode_positions(mask)
    np.testing.assert_array_equal(found.depths, depths[nearest][:, nearest] * inside)
    expected = directions[nearest][:, nearest] * inside[..., None]
    np.testing.assert_array_equal(found.directions, expected)


def test_kinds_and_shapes():
    depths, directions = encode_positions(scribbled(320, 0))
    assert (depths.shape, depths.dtype) == ((320, 320), np.int64)
    assert (directions.shape, directions.dtype) == ((320, 320, 4), np.int64)
    assert depths.flags.writeable
    assert directions.flags.writeable


def test_picture_without_holes_is_all_zero():
    depths, directions = encode_positions(no_holes(288))
    assert not depths.any()
    assert not directions.any()


def test_lone_pixel_is_one_step_deep_with_a_way_out_on_all_sides():
    mask = no_holes()
    mask[100, 50] = 255
    depths, directions = encode_positions(mask)
    assert depths[100, 50] == 1 == depths.sum()
    assert directions[100, 50].tolist() == [1, 1, 1, 1]
    assert directions.sum() == 4


def test_depth_counts_from_the_nearest_known_pixel_and_ends_at_127():
    mask = np.full((256, 256), 255, np.uint8)
    mask[:, 0] = 0
    depths, directions = encode_positions(mask)
    np.testing.assert_array_equal(depths, np.tile(np.minimum(np.arange(256), 127), (256, 1)))
    assert directions[50, 200].tolist() == [1, 1, 0, 0]  # the way out is on the left


def test_directions_name_the_corner_of_the_way_out():
    for row, column, corner in [
        (0, 0, UP_LEFT), (255, 0, DOWN_LEFT), (0, 255, UP_RIGHT), (255, 255, DOWN_RIGHT)
    ]:  # fmt: skip
        mask = np.full((256, 256), 255, np.uint8)
        mask[row, column] = 0
        ways = encode_positions(mask).directions[abs(row - 100), abs(column - 100)]
        assert np.flatnonzero(ways).tolist() == [corner]


def test_hole_without_any_known_pixel_is_as_deep_as_can_be_said():
    for side in (256, 288):
        depths, directions = encode_positions(np.full((side, side), 255, np.uint8))
        assert np.unique(depths).tolist() == [127]
        assert not directions.any()


def test_known_pixel_too_small_for_the_grid_stays_known():
    mask = np.full((1024, 1024), 255, np.uint8)
    mask[500, 500] = 0
    depths, directions = encode_positions(mask)
    assert depths[500, 500] == 0
    assert (depths == 127).sum() == 1024 * 1024 - 1
    assert not directions.any()


@pytest.mark.parametrize("side", [256, 512])
def test_shrunk_mask_is_a_hole_wherever_any_part_is(side):
    mask = no_holes(2 * side)
    mask[10, 20] = mask[11, 30] = mask[40:42, 50:52] = 255
    small = shrink_mask(mask, side)
    assert np.argwhere(small).tolist() == [[5, 10], [5, 15], [20, 25]]
    assert np.unique(small).tolist() == [0, 255]


def test_mask_is_left_as_it_was():
    mask = scribbled(256, 1)
    mask.flags.writeable = False
    before = mask.copy()
    encode_positions(mask)
    np.testing.assert_array_equal(mask, before)
