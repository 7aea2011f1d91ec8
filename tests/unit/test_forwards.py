"""How many pixels a model may be given at once."""

import pytest

from inpaint.errors import ImageTooLargeError
from inpaint.forwards import check_forward
from tests.fakes import fake_spec

SQUARE = fake_spec(size={"multiple_of": 32, "minimum": 256, "square": True})
SERVERS = 1_000_000


def check(spec, tile):
    check_forward(spec, tile, spec.size.padded(tile), SERVERS, "Do otherwise.")


@pytest.mark.parametrize("tile", [(1, 1), (1, 992), (992, 1), (1000, 1000), (2000, 3000)])
def test_tiles_are_taken_that_padding_makes_no_larger_than_a_picture_or_twice_themselves(tile):
    check(SQUARE, tile)


@pytest.mark.parametrize("tile", [(1, 60_000), (60_000, 1), (1, 1025), (900, 2000)])
def test_tiles_that_padding_makes_huge_are_refused_with_the_numbers(tile):
    side = -(-max(tile) // 32) * 32
    told = rf"'toy'.*{side}x{side} px.*{side * side} pixels.*at most \d+. Do otherwise"
    with pytest.raises(ImageTooLargeError, match=told):
        check(SQUARE, tile)


def test_what_the_model_says_itself_goes_before_the_servers_limit():
    own = fake_spec(max_pixels=100)
    check(own, (10, 10))
    with pytest.raises(ImageTooLargeError, match="at most 100"):
        check(own, (10, 11))
    check(fake_spec(max_pixels=4 * SERVERS), (2000, 2000))
