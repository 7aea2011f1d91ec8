"""A diffusion run's pixels: extending, the network's view, feather and blend."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint.blending import blend, extended, extended_alpha, feathered, for_network, mix
from inpaint.canvases import lay_out
from inpaint.diffusion import DiffusionOptions
from inpaint.specs import SizeRule
from inpaint.tiles import cut

SMALL = SizeRule(multiple_of=8, minimum=64)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def spot(height, width, top, left, bottom, right):
    mask = np.zeros((height, width), np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def painted_over(image, mask, answer, **options):
    """The finished picture for a model that answers the array or value `answer`."""
    asked = DiffusionOptions(**options)
    canvas = lay_out(mask.shape, asked, SMALL, 10**7)
    image, mask = extended(image, mask, canvas)
    piece = cut(image, mask, canvas.tile)
    finished = image.copy()
    painted = np.broadcast_to(np.asarray(answer, np.uint8), (*canvas.padded_size, 3))
    blend(finished, mask, piece, painted, asked)
    return finished


def gaussian(mask, radius):
    """A blur in float64 with OpenCV's sigma for that kernel, and its fixed kernel of 3."""
    side = 2 * radius + 1
    sigma = 0.3 * ((side - 1) * 0.5 - 1) + 0.8
    kernel = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    kernel = np.array([1.0, 2.0, 1.0]) if radius == 1 else kernel
    kernel /= kernel.sum()
    soft = np.pad(mask.astype(np.float64), radius, mode="reflect")
    for axis in (0, 1):
        soft = np.apply_along_axis(lambda line: np.convolve(line, kernel, "valid"), axis, soft)
    return soft


def extender(x, y, width, height):
    return {"use_extender": True, "extender_x": x, "extender_y": y,
            "extender_width": width, "extender_height": height}  # fmt: skip


def test_nothing_is_copied_where_nothing_is_extended(photo, hole):
    canvas = lay_out(hole.shape, DiffusionOptions(), SMALL, 10**7)
    image, mask = extended(photo, hole, canvas)
    assert image is photo
    assert mask is hole
    assert extended_alpha(hole, canvas) is hole


def test_what_is_new_repeats_the_border_and_is_masked_like_the_users_holes():
    image = noise(5, 6)
    mask = spot(5, 6, 1, 2, 3, 4)
    canvas = lay_out((5, 6), DiffusionOptions(**extender(-2, -1, 11, 6)), SMALL, 10**7)
    larger, holes = extended(image, mask, canvas)
    rows = np.clip(np.arange(-1, 5), 0, 4)
    columns = np.clip(np.arange(-2, 9), 0, 5)
    np.testing.assert_array_equal(larger, image[rows][:, columns])
    expected = np.full((6, 11), 255, np.uint8)
    expected[1:6, 2:8] = mask
    np.testing.assert_array_equal(holes, expected)


def test_corners_beside_the_extenders_box_are_black_and_kept():
    image = noise(10, 20)
    canvas = lay_out((10, 20), DiffusionOptions(**extender(15, 2, 10, 5)), SMALL, 10**7)
    alpha = np.full((10, 20), 77, np.uint8)
    larger, holes = extended(image, np.zeros((10, 20), np.uint8), canvas)
    transparency = extended_alpha(alpha, canvas)
    assert larger.shape == (10, 25, 3)
    np.testing.assert_array_equal(larger[:, :20], image)
    np.testing.assert_array_equal(larger[2:7, 20:], image[2:7, 19:20].repeat(5, axis=1))
    assert (holes[2:7, 20:] == 255).all()
    assert (transparency[2:7, 20:] == 255).all()
    assert (transparency[:, :20] == 77).all()
    for outside in (slice(0, 2), slice(7, 10)):
        assert not larger[outside, 20:].any()
        assert not holes[outside, 20:].any()
        assert not transparency[outside, 20:].any()
    assert extended_alpha(None, canvas) is None


def test_the_network_gets_mirrored_padding_and_a_hard_mask():
    image, mask = noise(60, 70), spot(60, 70, 10, 50, 60, 70)
    mask[0, :5] = [0, 127, 128, 254, 255]
    piece = cut(image, mask, lay_out((60, 70), DiffusionOptions(), SMALL, 10**7).tile)
    given_image, given_mask = for_network(piece, (64, 72))
    assert (given_image.shape, given_mask.shape) == ((64, 72, 3), (64, 72))
    np.testing.assert_array_equal(given_image[60:, :70], image[59:55:-1])
    np.testing.assert_array_equal(given_image[:60, 70:], image[:, 69:67:-1])
    assert given_mask[0, :5].tolist() == [0, 0, 255, 255, 255]
    assert set(np.unique(given_mask)) == {0, 255}


@pytest.mark.parametrize("radius", [1, 5, 11])
def test_the_feather_is_a_gaussian_half_inside_the_hole(radius):
    mask = spot(70, 80, 20, 30, 50, 70)
    soft = feathered(mask, radius)
    assert np.abs(soft - gaussian(mask, radius)).max() < 1.5  # of integers
    assert 100 < soft[35, 30] < 200  # the hole's own first column
    assert soft[35, 50] == 255
    assert not soft[35, : 30 - radius].any()


@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 5, 11, 40, 96]),
)  # fmt: skip
def test_blurring_only_around_the_holes_is_blurring_all(height, width, seed, radius):
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    top, left = rng.integers(0, height), rng.integers(0, width)
    mask[top : top + rng.integers(1, 9), left : left + rng.integers(1, 9)] = 255
    side = 2 * radius + 1
    np.testing.assert_array_equal(feathered(mask, radius), cv2.GaussianBlur(mask, (side, side), 0))


def test_no_feather_is_the_mask_itself(hole):
    assert feathered(hole, 0) is hole
    empty = np.zeros((4, 5), np.uint8)
    assert feathered(empty, 11) is empty


@given(st.integers(1, 150), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_mixing_is_truncated_float64_arithmetic_on_every_pixel(height, width, seed):
    rng = np.random.default_rng(seed)
    image, new = rng.integers(0, 256, (2, height, width, 3), np.uint8)
    weight = rng.integers(0, 256, (height, width), np.uint8)
    weight[rng.random((height, width)) < 0.3] = 255
    weight[: rng.integers(0, height + 1)] = 0
    share = weight[..., None].astype(np.float64) / 255.0
    expected = (new * share + image * (1.0 - share)).astype(np.uint8)
    mix(image, new, weight)
    np.testing.assert_array_equal(image, expected)


def test_the_hole_gets_what_was_painted_and_the_seam_a_mixture(photo):
    mask = spot(120, 160, 30, 40, 100, 120)
    result = painted_over(photo, mask, (10, 20, 30), sd_mask_blur=5)
    assert (result[50:80, 60:100] == (10, 20, 30)).all()
    soft = gaussian(mask, 5)[..., None] / 255
    np.testing.assert_allclose(
        result, soft * (10, 20, 30) + (1 - soft) * photo, atol=2.0
    )  # the blur is rounded, the mixture truncated
    np.testing.assert_array_equal(result[soft[..., 0] == 0], photo[soft[..., 0] == 0])


def test_a_padded_answer_is_cut():
    image, mask = noise(10, 12), spot(10, 12, 2, 3, 8, 9)
    answer = noise(64, 64, seed=1)
    result = painted_over(image, mask, answer, sd_mask_blur=0)
    np.testing.assert_array_equal(result[2:8, 3:9], answer[2:8, 3:9])


@given(
    st.tuples(st.integers(20, 120), st.integers(20, 120)),
    st.sampled_from([1.0, 0.7, 0.5, 0.31]),
    st.sampled_from(["whole", "croper", "extender"]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_without_a_feather_unmasked_pixels_stay(size, scale, mode, histograms, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    mask = ((rng.random(size) < 0.2) * 255).astype(np.uint8)
    x, y = (int(value) for value in rng.integers(-15, 15, 2))
    asked = {} if mode == "whole" else {
        f"use_{mode}": True, f"{mode}_x": x, f"{mode}_y": y,
        f"{mode}_width": 50, f"{mode}_height": 40,
    }  # fmt: skip
    result = painted_over(
        image, mask, (1, 2, 3), sd_mask_blur=0, sd_scale=scale, sd_match_histograms=histograms,
        **asked,
    )  # fmt: skip
    left, top = (max(0, -x), max(0, -y)) if mode == "extender" else (0, 0)
    inside = result[top : top + size[0], left : left + size[1]]
    np.testing.assert_array_equal(inside[mask == 0], image[mask == 0])


@pytest.mark.parametrize("blur", [1, 11])
def test_a_shrunk_run_restores_what_the_feather_does_not_reach(blur):
    image, mask = noise(120, 160), spot(120, 160, 50, 60, 70, 90)
    result = painted_over(image, mask, (0, 0, 0), sd_scale=0.5, sd_mask_blur=blur)
    far = np.ones((120, 160), bool)
    reach = 2 * (blur + 3)  # in the picture's pixels; 3 for the bicubic kernel
    far[50 - reach : 70 + reach, 60 - reach : 90 + reach] = False
    np.testing.assert_array_equal(result[far], image[far])
    assert not (result[~far] == image[~far]).all()


def test_a_shrunk_run_is_enlarged_bicubically_and_clipped():
    image, mask = noise(120, 160), spot(120, 160, 0, 0, 120, 160)
    checks = (np.indices((60, 80)).sum(axis=0) // 3 % 2 * 255).astype(np.uint8)
    answer = np.zeros((64, 80, 3), np.uint8)
    answer[:60] = checks[..., None]
    result = painted_over(image, mask, answer, sd_scale=0.5, sd_mask_blur=0)
    exact = cv2.resize(checks.astype(np.float64), (160, 120), interpolation=cv2.INTER_CUBIC)
    assert exact.min() < -1  # it does overshoot
    assert exact.max() > 256
    np.testing.assert_array_equal(result[..., 0], np.trunc(np.clip(exact, 0, 255)))


def test_without_keeping_the_whole_box_is_the_models(photo, hole):
    asked = {"use_croper": True, "croper_x": 20, "croper_y": 30, "croper_width": 64,
             "croper_height": 64, "sd_keep_unmasked_area": False}  # fmt: skip
    for scale in (1.0, 0.5):
        result = painted_over(photo, hole, (9, 8, 7), sd_scale=scale, **asked)
        assert (result[30:94, 20:84] == (9, 8, 7)).all()
        result[30:94, 20:84] = photo[30:94, 20:84]
        np.testing.assert_array_equal(result, photo)


def test_histograms_are_those_of_what_the_feather_leaves(photo):
    mask = spot(120, 160, 30, 40, 90, 120)
    darker = np.zeros((120, 160, 3), np.uint8)
    darker[:] = photo // 2  # one to one but for the lowest bit
    kept = gaussian(mask, 5) < 0.4
    result = painted_over(
        photo, mask, darker_padded(darker), sd_mask_blur=5, sd_match_histograms=True
    )
    np.testing.assert_array_equal(result[kept], photo[kept])
    middle = (slice(40, 80), slice(50, 110))
    assert np.abs(result[middle].astype(int) - photo[middle]).mean() < 3
    without = painted_over(photo, mask, darker_padded(darker), sd_mask_blur=5)
    assert np.abs(without[middle].astype(int) - photo[middle]).mean() > 30


def darker_padded(image):
    """`image` with black padding to multiples of 8."""
    grown = np.zeros((120, 160, 3), np.uint8)
    grown[: image.shape[0], : image.shape[1]] = image
    return grown


def test_the_extenders_new_area_is_blended_once():
    image = noise(80, 80)
    result = painted_over(
        image, np.zeros((80, 80), np.uint8), (50, 60, 70), sd_mask_blur=4,
        **extender(0, 0, 120, 80),
    )  # fmt: skip
    assert (result[:, 90:] == (50, 60, 70)).all()
    mask = spot(80, 120, 0, 80, 80, 120)
    soft = gaussian(mask, 4)[..., None] / 255
    repeated = np.concatenate([image, image[:, 79:].repeat(40, axis=1)], axis=1)
    np.testing.assert_allclose(result, soft * (50, 60, 70) + (1 - soft) * repeated, atol=2.0)


def test_the_users_mask_is_painted_with_the_extension():
    image, mask = noise(80, 80), spot(80, 80, 10, 10, 30, 30)
    result = painted_over(image, mask, (5, 5, 5), sd_mask_blur=0, **extender(0, 0, 100, 80))
    assert (result[10:30, 10:30] == 5).all()
    assert (result[:, 80:] == 5).all()
    np.testing.assert_array_equal(result[:, :80][mask == 0], image[mask == 0])


def test_long_thin_pictures_work():
    image, mask = noise(1, 40_000), spot(1, 40_000, 0, 39_000, 1, 39_500)
    result = painted_over(image, mask, (1, 1, 1), **extender(0, -1, 40_000, 3))
    assert result.shape == (3, 40_000, 3)
    assert (result[0] == 1).any()
