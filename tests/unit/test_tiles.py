"""Tiles as pixels: cut, pad, paste."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint.boxes import Box
from inpaint.plans import Tile
from inpaint.tiles import cut, pad, paste


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def spots(height, width, seed=0, share=0.3):
    return ((np.random.default_rng(seed).random((height, width)) < share) * 255).astype(np.uint8)


@st.composite
def tiles_in_pictures(draw):
    """(picture's size, tile), the tile resized or not."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    box = Box(left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height)))
    resized = draw(st.booleans())
    model_size = (draw(st.integers(1, 40)), draw(st.integers(1, 40))) if resized else box.size
    return (height, width), Tile(box, model_size)


def mirrored(array, size):
    """`array` read at mirrored indices, the edge pixel repeated: 0 1 2 | 2 1 0 | 0 1 2 ..."""
    for axis, target in enumerate(size):
        side = array.shape[axis]
        steps = np.arange(target) % (2 * side)
        array = array.take(np.where(steps < side, steps, 2 * side - 1 - steps), axis)
    return array


def blended(image, mask, tile, painted):
    """IOPaint's RESIZE, in float64, up to the truncation."""
    top, left, bottom, right = tile.box.top, tile.box.left, tile.box.bottom, tile.box.right
    small = (tile.model_size[1], tile.model_size[0])
    pixels = cv2.resize(image[top:bottom, left:right], small, interpolation=cv2.INTER_CUBIC)
    grey = cv2.resize(mask[top:bottom, left:right], small, interpolation=cv2.INTER_CUBIC)
    alpha = grey.astype(np.float64)[:, :, np.newaxis] / 255.0
    mixed = painted.astype(np.float64) * alpha + pixels.astype(np.float64) * (1.0 - alpha)
    return cv2.resize(mixed, (right - left, bottom - top), interpolation=cv2.INTER_CUBIC)


@given(tiles_in_pictures())
def test_cut_gives_the_model_its_size(case):
    size, tile = case
    piece = cut(noise(*size), spots(*size), tile)
    assert piece.pixels.shape == (*tile.model_size, 3)
    assert piece.holes.shape == tile.model_size
    assert piece.pixels.dtype == piece.holes.dtype == np.uint8


def test_cut_is_a_view_where_nothing_is_resized():
    image, mask = noise(10, 12), spots(10, 12)
    piece = cut(image, mask, Tile(Box(2, 3, 9, 8), (5, 7)))
    assert np.shares_memory(piece.pixels, image)
    assert np.shares_memory(piece.holes, mask)
    np.testing.assert_array_equal(piece.pixels, image[3:8, 2:9])


@given(tiles_in_pictures(), st.integers(0, 3))
def test_paste_changes_masked_pixels_of_the_tile_only(case, seed):
    size, tile = case
    image, mask = noise(*size), spots(*size, seed)
    before = image.copy()
    painted = noise(*tile.model_size, seed=seed + 1)
    painted.flags.writeable = False  # as it arrives through Ray
    paste(image, mask, cut(image, mask, tile), painted)
    kept = np.ones(size, bool)
    kept[tile.box.window] = mask[tile.box.window] == 0
    np.testing.assert_array_equal(image[kept], before[kept])


@given(tiles_in_pictures())
def test_paste_takes_the_painted_pixels_where_nothing_is_resized(case):
    size, tile = case
    tile = Tile(tile.box, tile.box.size)
    image, mask, painted = noise(*size), spots(*size), noise(*tile.box.size, seed=1)
    paste(image, mask, cut(image, mask, tile), painted)
    inside = mask[tile.box.window] == 255
    np.testing.assert_array_equal(image[tile.box.window][inside], painted[inside])


@given(tiles_in_pictures(), st.integers(0, 3))
def test_paste_blends_resized_tiles_as_iopaint(case, seed):
    size, tile = case
    image, mask = noise(*size, seed), spots(*size, seed)
    painted = noise(*tile.model_size, seed=seed + 1)
    if not tile.is_resized:
        return
    expected = np.clip(blended(image, mask, tile, painted), 0, 255).astype(np.uint8)
    paste(image, mask, cut(image, mask, tile), painted)
    inside = mask[tile.box.window] == 255
    np.testing.assert_array_equal(image[tile.box.window][inside], expected[inside])


def test_paste_writes_into_a_part_of_a_larger_array():
    """The picture is itself a window, so that no row follows the one before it in memory."""
    whole = noise(30, 40)
    before = whole.copy()
    image, mask = whole[5:25, 7:33], spots(40, 60)[3:23, 9:35]
    assert not image.flags.c_contiguous
    tile = Tile(Box(2, 2, 20, 15), (13, 18))
    painted = np.full((13, 18, 3), 200, np.uint8)
    paste(image, mask, cut(image, mask, tile), painted)
    expected = before.copy()
    expected[7:20, 9:27][mask[2:15, 2:20] > 0] = 200
    np.testing.assert_array_equal(whole, expected)


def test_paste_takes_a_painted_array_that_is_a_crop():
    image, mask = noise(10, 12), np.full((10, 12), 255, np.uint8)
    painted = noise(16, 16, seed=1)[:10, :12]
    paste(image, mask, cut(image, mask, Tile(Box(0, 0, 12, 10), (10, 12))), painted)
    np.testing.assert_array_equal(image, painted)


def test_paste_clips_what_cubic_enlarging_overshoots():
    image, mask = np.zeros((16, 16, 3), np.uint8), np.full((16, 16), 255, np.uint8)
    painted = np.zeros((4, 4, 3), np.uint8)
    painted[:, 2:] = 255
    paste(image, mask, cut(image, mask, Tile(Box(0, 0, 16, 16), (4, 4))), painted)
    assert image[0, 0, 0] == 0
    assert image[0, -1, 0] == 255
    assert (np.diff(image[0, :, 0].astype(int)) >= 0).all(), "a step that wrapped around"


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(0, 40), st.integers(0, 40)),
    st.booleans(),
)
def test_pad_mirrors_at_the_bottom_and_right(size, more, is_image):
    array = noise(*size) if is_image else spots(*size)
    target = (size[0] + more[0], size[1] + more[1])
    array.flags.writeable = False
    padded = pad(array, target)
    np.testing.assert_array_equal(padded, mirrored(array, target))
    np.testing.assert_array_equal(padded[: size[0], : size[1]], array)


@pytest.mark.parametrize("array", [noise(4, 6), spots(4, 6)])
def test_pad_to_the_same_size_copies_nothing(array):
    assert pad(array, (4, 6)) is array
