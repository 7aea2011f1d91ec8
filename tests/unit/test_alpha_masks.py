"""Masks whose transparency marks the holes."""

import numpy as np
import pytest

from inpaint.alpha_masks import take_holes
from inpaint.codecs import Format, Metadata, Picture
from inpaint.errors import MaskError

ALPHA = np.array([[0, 1, 254], [255, 0, 128]], np.uint8)
HOLES = np.array([[255, 0, 0], [0, 255, 0]], np.uint8)


def picture(alpha, shape=(2, 3)):
    image = np.full((*shape, 3), 7, np.uint8)
    for array in (image, alpha):
        if array is not None:
            array.flags.writeable = False
    return Picture(image, alpha, Format.PNG, Metadata(), turned=False)


def test_only_an_alpha_of_0_is_a_hole():
    taken, mask = take_holes(picture(None), picture(ALPHA.copy()))
    np.testing.assert_array_equal(mask, HOLES)
    assert mask.dtype == np.uint8
    assert taken.alpha is None


def test_a_picture_is_opaque_where_it_is_repainted_and_nowhere_else():
    own = picture(ALPHA.copy())
    taken, mask = take_holes(own, own)
    np.testing.assert_array_equal(mask, HOLES)
    np.testing.assert_array_equal(taken.alpha, [[255, 1, 254], [255, 255, 128]])
    np.testing.assert_array_equal(own.alpha, ALPHA)
    assert taken.image is own.image


@pytest.mark.parametrize("alpha", [None, np.ones((2, 3), np.uint8)])
def test_a_mask_without_holes_is_refused(alpha):
    with pytest.raises(MaskError, match="no pixel of the mask"):
        take_holes(picture(None), picture(alpha))
    own = picture(alpha)
    with pytest.raises(MaskError, match="came without a mask"):
        take_holes(own, own)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(MaskError, match="3x2 px"):
        take_holes(picture(None, (4, 4)), picture(ALPHA.copy()))
