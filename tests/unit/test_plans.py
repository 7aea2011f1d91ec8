"""Plans: which tiles a picture's holes give, by every strategy and rule."""

from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from inpaint.boxes import Box, with_margin
from inpaint.plans import (
    SNAP_STEP_PX,
    Geometry,
    HDStrategy,
    StrategyOptions,
    Tile,
    plan,
    shrunk,
)
from inpaint.specs import FixedTiling, StrategyTiling

ANY = StrategyTiling()


@st.composite
def pictures(draw):
    """(size, holes): one to eight holes in a picture of any shape."""
    height, width = draw(st.integers(1, 3000)), draw(st.integers(1, 3000))
    holes = []
    for _ in range(draw(st.integers(1, 8))):
        left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        right = min(left + draw(st.integers(1, 500)), width)
        holes.append(Box(left, top, right, min(top + draw(st.integers(1, 500)), height)))
    return (height, width), holes


options = st.builds(
    StrategyOptions,
    hd_strategy=st.sampled_from(HDStrategy),
    hd_strategy_crop_trigger_size=st.integers(0, 1000),
    hd_strategy_crop_margin=st.integers(0, 300),
    hd_strategy_resize_limit=st.integers(16, 2500),
    geometry=st.sampled_from(Geometry),
)
fixed = st.builds(FixedTiling, size=st.integers(1, 700), margin=st.integers(0, 300))


def crop(margin=128, geometry=Geometry.IOPAINT, trigger=0):
    return StrategyOptions(
        hd_strategy_crop_trigger_size=trigger, hd_strategy_crop_margin=margin, geometry=geometry
    )


def is_inside(inner, outer):
    return outer.union(inner) == outer


@given(pictures(), st.one_of(st.just(ANY), fixed), options)
def test_tiles_lie_inside_and_cover_every_hole(picture, tiling, chosen):
    size, holes = picture
    tiles = plan(size, holes, tiling, chosen).tiles
    assert all(is_inside(tile.box, Box.of_image(size)) for tile in tiles)
    assert all(min(*tile.box.size, *tile.model_size) >= 1 for tile in tiles)
    assert all(any(is_inside(hole, tile.box) for tile in tiles) for hole in holes)


@given(pictures(), st.integers(0, 300), st.sampled_from(Geometry))
def test_crop_tiles_do_not_overlap(picture, margin, geometry):
    size, holes = picture
    tiles = plan(size, holes, ANY, crop(margin, geometry)).tiles
    assert not any(one.box.overlaps(other.box) for one, other in combinations(tiles, 2))
    assert not any(tile.is_resized for tile in tiles)


@given(pictures(), st.integers(0, 300), st.sampled_from(Geometry))
def test_crop_tiles_are_in_the_order_of_their_first_holes(picture, margin, geometry):
    size, holes = picture
    tiles = plan(size, holes, ANY, crop(margin, geometry)).tiles
    firsts = [
        next(index for index, hole in enumerate(holes) if is_inside(hole, tile.box))
        for tile in tiles
    ]
    assert firsts == sorted(firsts)


@given(pictures(), st.integers(0, 300))
def test_snapped_tiles_are_multiples_of_the_step_or_whole_sides(picture, margin):
    size, holes = picture
    tiles = plan(size, holes, ANY, crop(margin, Geometry.SNAPPED)).tiles
    for tile in tiles:
        for side, whole in zip(tile.box.size, size, strict=True):
            assert side % SNAP_STEP_PX == 0 or side == whole
    unsnapped = plan(size, holes, ANY, crop(margin)).tiles
    assert all(any(is_inside(tile.box, big.box) for big in tiles) for tile in unsnapped)


def test_snapped_union_is_snapped_again():
    """Two tiles of 128 px that meet when they snap make 216 px, which is no multiple."""
    holes = [Box(300, 300, 400, 400), Box(410, 300, 480, 400)]
    tiles = plan((1000, 1000), holes, ANY, crop(0, Geometry.SNAPPED)).tiles
    assert [tile.model_size for tile in tiles] == [(128, 256)]


def test_crop_of_a_lone_hole_is_its_box_with_margin():
    hole = Box(1000, 700, 1031, 720)
    (tile,) = plan((1500, 2000), [hole], ANY, StrategyOptions()).tiles
    assert tile.box == with_margin(hole, 128, (1500, 2000))
    assert tile.model_size == tile.box.size == (276, 286)


def test_crop_of_thirty_letters_in_a_line_is_one_tile():
    letters = [Box(200 + 25 * n, 500, 218 + 25 * n, 530) for n in range(30)]
    assert len(plan((1500, 2000), letters, ANY, StrategyOptions()).tiles) == 1


@pytest.mark.parametrize(("longer", "tiles"), [(800, 1), (801, 2)])
def test_crop_acts_above_its_trigger_only(longer, tiles):
    holes = [Box(0, 0, 5, 5), Box(longer - 5, 0, longer, 5)]
    made = plan((300, longer), holes, ANY, StrategyOptions()).tiles
    assert len(made) == tiles
    assert tiles == 2 or made[0].box == Box.of_image((300, longer))


@pytest.mark.parametrize("strategy", list(HDStrategy))
@pytest.mark.parametrize("tiling", [ANY, FixedTiling()])
def test_no_holes_give_no_tiles(strategy, tiling):
    chosen = StrategyOptions(hd_strategy=strategy)
    assert plan((900, 900), [], tiling, chosen).tiles == ()


def test_original_is_the_whole_picture_once():
    chosen = StrategyOptions(hd_strategy=HDStrategy.ORIGINAL)
    made = plan((3000, 50), [Box(0, 0, 1, 1), Box(40, 2000, 44, 2010)], ANY, chosen)
    assert made.tiles == (Tile(Box(0, 0, 50, 3000), (3000, 50)),)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(16, 3000))
def test_resize_rounds_half_up_as_iopaint(height, width, limit):
    chosen = StrategyOptions(hd_strategy=HDStrategy.RESIZE, hd_strategy_resize_limit=limit)
    (tile,) = plan((height, width), [Box(0, 0, 1, 1)], ANY, chosen).tiles
    assert tile.box == Box(0, 0, width, height)
    longer = max(height, width)
    if longer <= limit:
        assert tile.model_size == (height, width)
    else:
        expected = [max(1, int(side * (limit / longer) + 0.5)) for side in (height, width)]
        assert tile.model_size == tuple(expected)


@pytest.mark.parametrize(
    ("size", "limit", "expected"),
    [
        ((100, 200), 200, (100, 200)),
        ((1500, 2000), 512, (384, 512)),
        ((1, 5000), 512, (1, 512)),  # at least one pixel
        ((3, 6), 5, (3, 5)),  # 2.5 goes up
    ],
)
def test_shrunk_keeps_the_ratio(size, limit, expected):
    assert shrunk(size, limit) == expected


@given(pictures(), fixed, options)
def test_fixed_tiles_are_never_larger_than_the_network_takes(picture, tiling, chosen):
    size, holes = picture
    assume(size != (tiling.size, tiling.size))
    for tile in plan(size, holes, tiling, chosen).tiles:
        assert max(tile.model_size) <= tiling.size
        assert tile.is_resized == (max(tile.box.size) > tiling.size)


@given(pictures(), fixed, options, options)
def test_fixed_tiles_do_not_heed_the_strategy(picture, tiling, one, other):
    assert plan(*picture, tiling, one) == plan(*picture, tiling, other)


def test_fixed_exact_size_is_one_whole_tile():
    holes = [Box(0, 0, 1, 1), Box(500, 500, 510, 510)]
    made = plan((512, 512), holes, FixedTiling(), StrategyOptions())
    assert made.tiles == (Tile(Box(0, 0, 512, 512), (512, 512)),)


def test_fixed_tiles_of_many_holes_are_not_shrunk_by_merging():
    holes = [Box(x, y, x + 2, y + 2) for y in range(0, 3000, 60) for x in range(0, 3000, 60)]
    tiles = plan((3000, 3000), holes, FixedTiling(), StrategyOptions()).tiles
    assert len(holes) == 2500
    assert not any(tile.is_resized for tile in tiles)


@pytest.mark.parametrize("word", ["CROP", "crop", "Crop", "cRoP"])
def test_strategy_names_are_case_insensitive(word):
    assert HDStrategy(word) is HDStrategy.CROP
    assert StrategyOptions.model_validate({"hd_strategy": word}).hd_strategy is HDStrategy.CROP


@pytest.mark.parametrize("word", ["", "cropped", "None", None, 1])
def test_strategy_refuses_other_names(word):
    with pytest.raises(ValueError, match="is not a valid HDStrategy"):
        HDStrategy(word)
