"""What a diffusion run paints, as data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint.boxes import Box
from inpaint.canvases import check_run, lay_out
from inpaint.diffusion import DiffusionOptions
from inpaint.errors import ImageTooLargeError, ParamsError
from inpaint.specs import SizeRule
from tests.fakes import fake_spec

SD = SizeRule(multiple_of=8, minimum=512)
PLENTY = 64_000_000


def canvas(size, max_pixels=PLENTY, rule=SD, **options):
    return lay_out(size, DiffusionOptions(**options), rule, max_pixels)


def box(prefix, x, y, width, height):
    return {f"use_{prefix}": True, f"{prefix}_x": x, f"{prefix}_y": y,
            f"{prefix}_width": width, f"{prefix}_height": height}  # fmt: skip


def test_the_whole_picture_is_painted_by_default():
    made = canvas((600, 901))
    assert made.size == made.model_size == (600, 901)
    assert made.place == made.picture == Box(0, 0, 901, 600)
    assert made.padded_size == (600, 904)
    assert not made.is_extended


@pytest.mark.parametrize(
    ("size", "padded"),
    [((1, 1), (512, 512)), ((512, 512), (512, 512)), ((513, 400), (520, 512))],
)
def test_sizes_are_padded_to_eights_and_at_least_512(size, padded):
    assert canvas(size).padded_size == padded


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ((10, 20, 300, 200), Box(10, 20, 310, 220)),
        ((-50, -1, 300, 200), Box(0, 0, 250, 199)),  # the unclipped corner counts
        ((500, 300, 512, 512), Box(500, 300, 640, 480)),
        ((-5, -5, 9999, 9999), Box(0, 0, 640, 480)),
        ((639, 479, 1, 1), Box(639, 479, 640, 480)),
    ],
)
def test_the_croper_is_clipped_to_the_picture(asked, place):
    made = canvas((480, 640), **box("croper", *asked))
    assert (made.place, made.size) == (place, (480, 640))
    assert made.model_size == (place.bottom - place.top, place.right - place.left)


@pytest.mark.parametrize("prefix", ["croper", "extender"])
@pytest.mark.parametrize(
    "corner", [(640, 0), (0, 480), (-100, 0), (0, -100), (2**31 - 1, 0), (-(2**31) + 1, 0)]
)
def test_a_box_beside_the_picture_is_refused_by_name(prefix, corner):
    with pytest.raises(ParamsError, match=rf"{prefix}.*640x480.*{prefix}_x"):
        canvas((480, 640), **box(prefix, *corner, 100, 100))


@pytest.mark.parametrize(
    ("asked", "size", "picture", "place"),
    [
        # To the left and up: the picture moves.
        ((-30, -20, 130, 100), (120, 190), Box(30, 20, 190, 120), Box(0, 0, 130, 100)),
        # To the right and down: it stays.
        ((100, 50, 100, 90), (140, 200), Box(0, 0, 160, 100), Box(100, 50, 200, 140)),
        # Around it.
        ((-1, -2, 164, 105), (105, 164), Box(1, 2, 161, 102), Box(0, 0, 164, 105)),
        # Inside it: nothing is new.
        ((10, 10, 50, 50), (100, 160), Box(0, 0, 160, 100), Box(10, 10, 60, 60)),
    ],
)
def test_the_extender_makes_the_picture_larger(asked, size, picture, place):
    made = canvas((100, 160), **box("extender", *asked))
    assert (made.size, made.picture, made.place) == (size, picture, place)
    assert made.is_extended == (size != (100, 160))


def test_with_both_the_croper_wins():
    made = canvas((100, 160), **box("croper", 5, 6, 20, 30), **box("extender", -50, 0, 300, 100))
    assert (made.size, made.place) == ((100, 160), Box(5, 6, 25, 36))


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [
        ((1000, 1500), 0.5, (500, 750)),
        ((333, 1000), 0.37, (123, 370)),  # 123.21
        ((999, 501), 0.5, (499, 250)),  # int(499.5) is the limit; 250.25
        ((1, 1500), 0.1, (1, 150)),
        ((40, 30), 0.0001, (1, 1)),
        ((1000, 1500), 1.0, (1000, 1500)),
    ],
)
def test_sd_scale_shrinks_what_the_model_sees(size, scale, expected):
    made = canvas(size, sd_scale=scale)
    assert (made.model_size, made.size, made.place.size) == (expected, size, size)


def test_an_extended_picture_has_as_many_pixels_as_a_picture_may_have():
    asked = box("extender", 0, 0, 200, 100)
    assert canvas((100, 100), max_pixels=20_000, **asked).size == (100, 200)
    with pytest.raises(ImageTooLargeError, match=r"200x100.*19999"):
        canvas((100, 100), max_pixels=19_999, **asked)
    with pytest.raises(ImageTooLargeError, match="extender_width"):
        canvas((100, 100), **box("extender", 0, 0, 2**31 - 1, 2**31 - 1))


def test_a_run_may_have_as_many_pixels_as_the_model_says():
    spec = fake_spec(max_pixels=512 * 520)
    check_run(canvas((512, 520)), spec, PLENTY)
    with pytest.raises(ImageTooLargeError, match=r"toy.*528x512.*use_croper.*sd_scale"):
        check_run(canvas((512, 521)), spec, PLENTY)
    check_run(canvas((512, 521), sd_scale=0.9), spec, PLENTY)
    check_run(canvas((512, 521), **box("croper", 0, 0, 500, 500)), spec, PLENTY)
    check_run(canvas((9000, 9000)), fake_spec(), PLENTY)


@given(
    *(st.integers(1, 300) for _ in range(2)),
    st.sampled_from(["croper", "extender"]),
    *(st.integers(-400, 400) for _ in range(2)),
    *(st.integers(1, 700) for _ in range(2)),
)
def test_boxes_lie_in_the_finished_picture_and_the_picture_keeps_its_size(
    height, width, prefix, x, y, box_width, box_height
):
    try:
        made = canvas((height, width), **box(prefix, x, y, box_width, box_height))
    except ParamsError:
        assert x >= width or y >= height or x + box_width <= 0 or y + box_height <= 0
        return
    assert made.picture.size == (height, width)
    whole = Box(0, 0, made.size[1], made.size[0])
    assert whole.union(made.place) == whole.union(made.picture) == whole
    assert made.picture.union(made.place) == whole
    assert made.place.size == ((box_height, box_width) if prefix == "extender" else made.model_size)
