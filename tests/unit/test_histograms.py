"""Histogram matching, against its definition written out."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inpaint.histograms import match_histograms

HALVES = np.indices((6, 8))[1] < 4


def level_for(level, painted, original):
    """The lowest level with at least as large a share of `original` at or below it."""
    count = np.count_nonzero(painted <= level)
    if not count:
        return 0
    return next(
        wanted for wanted in np.unique(original) if np.count_nonzero(original <= wanted) >= count
    )


def written_out(painted, original, kept):
    answer = np.empty_like(painted)
    for channel in range(3):
        given_, wanted = painted[..., channel], original[..., channel]
        for level in np.unique(given_):
            moved = level_for(level, given_[kept], wanted[kept])
            answer[given_ == level, channel] = moved
    return answer


@given(st.integers(0, 2**32 - 1), st.integers(1, 256), st.integers(1, 256))
def test_matches_the_definition(seed, few, many):
    rng = np.random.default_rng(seed)
    painted = rng.integers(0, few, (6, 8, 3)).astype(np.uint8)
    original = (rng.integers(0, many, (6, 8, 3)) * 255 // many).astype(np.uint8)
    kept = rng.random((6, 8)) < 0.5
    kept[0, 0] = True
    np.testing.assert_array_equal(
        match_histograms(painted, original, kept), written_out(painted, original, kept)
    )


def test_a_constant_shift_is_taken_back(rng):
    original = rng.integers(20, 200, (40, 50, 3), np.uint8)
    painted = original + np.array([0, 30, 55], np.uint8)
    kept = np.ones((40, 50), bool)
    np.testing.assert_array_equal(match_histograms(painted, original, kept), original)


def test_only_kept_pixels_count_and_all_are_changed():
    original = np.full((6, 8, 3), 50, np.uint8)
    original[~HALVES] = 250  # not counted
    painted = np.full((6, 8, 3), 90, np.uint8)
    answer = match_histograms(painted, original, HALVES)
    assert (answer == 50).all()


def test_without_a_kept_pixel_nothing_changes(rng):
    painted = rng.integers(0, 256, (6, 8, 3), np.uint8)
    answer = match_histograms(painted, 255 - painted, np.zeros((6, 8), bool))
    np.testing.assert_array_equal(answer, painted)


def test_inputs_stay(rng):
    painted, original = rng.integers(0, 256, (2, 6, 8, 3), np.uint8)
    before = painted.copy(), original.copy()
    match_histograms(painted, original, HALVES)
    np.testing.assert_array_equal(painted, before[0])
    np.testing.assert_array_equal(original, before[1])
