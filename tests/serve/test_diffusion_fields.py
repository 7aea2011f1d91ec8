"""What a request's fields do to the pixels, on real Serve with real pipelines of random weights."""

import time

import cv2
import httpx
import numpy as np
import pytest

from tests.conftest import pixels
from tests.events import events_in, events_of
from tests.serve.checkpoints import SD15, SDXL, request_of, send

HEIGHT, WIDTH = 150, 230
PICTURE = (0, 0, WIDTH, HEIGHT)
BLUR = 12


@pytest.fixture(scope="module")
def picture():
    """(HEIGHT, WIDTH, 3) uint8 RGB, soft; padded to 512x512 px on its way to the network."""
    coarse = np.random.default_rng(9).integers(0, 256, (7, 11, 3), np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def hole():
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[50:110, 60:150] = 255
    return mask


@pytest.fixture(scope="module")
def remembered():
    """Answers by what was asked: some are needed by several tests."""
    return {}


@pytest.fixture
def ask(client, checkpoints, picture, hole, remembered):
    """A function: the pixels of a run that succeeds."""

    def ask(**fields):
        key = tuple(sorted(fields.items()))
        if key not in remembered:
            answer = send(client, picture, hole, **fields)
            assert answer.status_code == 200, answer.text[:500]
            remembered[key] = pixels(answer.content)
        return remembered[key]

    return ask


def changed(result, picture):
    return (result != picture).any(axis=2)


def check_only(result, picture, where):
    """Nothing but the pixels `where` is repainted, and nearly all of those are."""
    assert not changed(result, picture)[~where].any()
    assert changed(result, picture)[where].mean() > 0.9


def levels(first, second, where):
    return np.abs(first.astype(int) - second)[where].mean()


# The network's own parameters


@pytest.mark.parametrize("model", [SD15, SDXL])
@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a dog"},
        {"negative_prompt": "dog"},
        {"sd_guidance_scale": 2},
        {"sd_steps": 3},
        {"sd_strength": 0.5},
        {"seed": 8},
    ],
    ids=str,
)
def test_a_parameter_changes_the_hole_and_nothing_else(ask, picture, hole, model, change):
    steps = {"sd_steps": 4} if "sd_strength" in change else {}
    usual, other = ask(model=model, **steps), ask(model=model, **steps, **change)
    check_only(usual, picture, hole > 0)
    check_only(other, picture, hole > 0)
    assert levels(usual, other, hole > 0) > 0.5


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({"sd_steps": 6, "sd_strength": 0.5}, 3), ({"sd_steps": 3}, 3), ({"sd_strength": 0.5}, 1)],
    ids=str,
)
def test_steps_and_strength_decide_how_many_steps_are_run(
    client, checkpoints, picture, hole, fields, expected
):
    answer = send(client, picture, hole, model=SD15, accept="text/event-stream", **fields)
    steps = [data for name, data in events_of(answer.text) if name == "step"]
    assert [(step["step"], step["total"]) for step in steps] == [
        (number, expected) for number in range(1, expected + 1)
    ]


def test_lcm_lora_is_read_where_it_is_asked_for(ask, picture, hole):
    for model in (SD15, SDXL):
        fields = {"model": model, "sd_sampler": "LCM", "sd_guidance_scale": 1}
        with_lora, without = ask(sd_lcm_lora="true", **fields), ask(**fields)
        check_only(with_lora, picture, hole > 0)
        assert levels(with_lora, without, hole > 0) > 0.5


def test_a_seed_means_one_picture_and_is_told(client, checkpoints, picture, hole):
    first, again, other = (send(client, picture, hole, seed=seed) for seed in (7, 7, 8))
    assert [answer.headers["x-seed"] for answer in (first, again, other)] == ["7", "7", "8"]
    assert first.content == again.content
    assert first.content != other.content


@pytest.mark.parametrize("unstated", [{"seed": None}, {"seed": None, "sd_seed": -1}], ids=str)
def test_a_drawn_seed_is_told_and_gives_the_picture_again(
    client, checkpoints, picture, hole, unstated
):
    first, second = (send(client, picture, hole, **unstated) for _ in range(2))
    assert first.headers["x-seed"] != second.headers["x-seed"]
    assert first.content != second.content
    again = send(client, picture, hole, seed=None, sd_seed=first.headers["x-seed"])
    assert again.content == first.content


# Where is painted


@pytest.mark.parametrize("model", [SD15, SDXL])
@pytest.mark.parametrize(
    "box",
    [(80, 30, 100, 60), (-20, -10, 120, 90), (100, 80, 512, 512)],
    ids=["inside", "beyond the top left", "beyond the bottom right"],
)
def test_croper_paints_inside_its_box_only(ask, picture, hole, model, box):
    result = ask(model=model, use_croper="true", **fields_of("croper", box))
    check_only(result, picture, (hole > 0) & inside(box, hole.shape))
    assert levels(result, ask(model=model), (hole > 0) & inside(box, hole.shape)) > 1


def fields_of(name, box):
    return dict(zip((f"{name}_{what}" for what in ("x", "y", "width", "height")), box, strict=True))


def inside(box, shape, offset=(0, 0)):
    """(H, W) bool: the pixels of a picture that lie in `box`."""
    left, top, width, height = box
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    rows, columns = rows - offset[1], columns - offset[0]
    return (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)


BOXES = {
    "inside": (80, 30, 100, 60),
    "beyond the left": (-48, 0, 200, HEIGHT),
    "beyond the right": (90, 0, 200, HEIGHT),
    "beyond the top": (0, -56, WIDTH, 140),
    "beyond the bottom": (0, 70, WIDTH, 140),
    "beyond all sides": (-40, -24, 310, 200),
    "partly outside, at a corner": (-40, -30, 140, 110),
    "partly outside, at the opposite corner": (120, 90, 160, 100),
}


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_extender_makes_the_picture_larger_and_keeps_to_the_mask(ask, picture, hole, box):
    result = ask(use_extender="true", **fields_of("extender", box))
    left, top = min(0, box[0]), min(0, box[1])
    right, bottom = max(WIDTH, box[0] + box[2]), max(HEIGHT, box[1] + box[3])
    assert result.shape == (bottom - top, right - left, 3)

    old = inside(PICTURE, result.shape, (-left, -top))
    boxed = inside(box, result.shape, (-left, -top))
    before, masked = np.zeros_like(result), np.zeros(result.shape[:2], bool)
    before[old], masked[old] = picture.reshape(-1, 3), hole.ravel() > 0
    to_paint = boxed & (masked | ~old)
    assert to_paint.any()
    check_only(result, before, to_paint)  # corners in neither are black
    new = result[boxed & ~old].astype(int)
    assert len(new) == 0 or new.std() > 5


def test_extender_with_sd15_paints_new_pixels_by_the_prompt(ask):
    fields = {"model": SD15, "use_extender": "true", **fields_of("extender", (-48, 0, 200, HEIGHT))}
    one, other = ask(**fields), ask(prompt="a dog", **fields)
    assert one.shape == other.shape == (HEIGHT, WIDTH + 48, 3)
    assert levels(one[:, :48], other[:, :48], ...) > 0.5
    np.testing.assert_array_equal(one[:40, 48:], other[:40, 48:])  # above the hole


@pytest.mark.parametrize("tool", ["croper", "extender"])
def test_a_box_beside_the_picture_is_refused_by_name(client, picture, hole, tool):
    box = fields_of(tool, (WIDTH, 0, 64, 64))
    answer = send(client, picture, hole, **{f"use_{tool}": "true"}, **box)
    assert answer.status_code == 422
    assert f"{tool}_x" in answer.json()["detail"]


# How it is put back


@pytest.mark.parametrize("model", [SD15, SDXL])
def test_scale_paints_a_smaller_picture_and_leaves_the_rest(ask, picture, hole, model):
    small = ask(model=model, sd_scale=0.5)
    check_only(small, picture, hole > 0)
    assert levels(small, ask(model=model), hole > 0) > 1
    # Enlarged from half the size: neighbours differ less than where each was painted.
    sharp = ask(model=model)[hole > 0].reshape(60, 90, 3).astype(int)
    soft = small[hole > 0].reshape(60, 90, 3).astype(int)
    assert np.abs(np.diff(soft, axis=1)).mean() < np.abs(np.diff(sharp, axis=1)).mean()


@pytest.mark.parametrize("model", [SD15, SDXL])
def test_mask_blur_feathers_the_seam(ask, picture, hole, model):
    """The formula, from the model's own picture and the mask."""
    everything = ask(model=model, sd_keep_unmasked_area="false")
    assert changed(everything, picture)[hole == 0].mean() > 0.9
    side = 2 * BLUR + 1
    weight = cv2.GaussianBlur(hole, (side, side), 0)[..., np.newaxis] / 255
    expected = (everything * weight + picture * (1 - weight)).astype(np.uint8)
    soft = ask(model=model, sd_mask_blur=BLUR)
    np.testing.assert_array_equal(soft, expected)
    far = cv2.dilate(hole, np.ones((side, side), np.uint8)) == 0
    np.testing.assert_array_equal(soft[far], picture[far])
    assert changed(soft, picture)[(hole == 0) & ~far].any()


@pytest.mark.parametrize("model", [SD15, SDXL])
def test_histograms_are_those_of_what_surrounds_the_hole(ask, picture, hole, model):
    check_only(ask(model=model, sd_match_histograms="true"), picture, hole > 0)
    plain, matched = (
        ask(model=model, sd_keep_unmasked_area="false", **fields)
        for fields in ({}, {"sd_match_histograms": "true"})
    )
    around = hole == 0
    for channel in range(3):
        wanted = shares(picture[around, channel])
        apart = np.abs(shares(matched[around, channel]) - wanted).max()
        before = np.abs(shares(plain[around, channel]) - wanted).max()
        assert apart < before / 2


def shares(values):
    """The share of values at or below each level."""
    return np.cumsum(np.bincount(values, minlength=256)) / values.size


# Who goes away


def test_hanging_up_frees_the_device_of_a_real_network(url, client, ask, picture, hole):
    """Told by the clock: the steps that are left would take a hundred times as long."""
    ask(model=SD15)  # loaded
    began = time.monotonic()
    usual = send(client, picture, hole, model=SD15, sd_steps=1)
    usual_s = time.monotonic() - began
    request = request_of(
        picture, hole, model=SD15, sd_steps=150, seed=1, accept="text/event-stream"
    )
    with (
        httpx.Client(base_url=url, timeout=60) as other,
        other.stream("POST", "/inpaint", **request) as answer,
    ):
        assert any(data.get("step") == 2 for _, data in events_in(answer))
    gone = time.monotonic()
    after = send(client, picture, hole, model=SD15, sd_steps=1)
    assert (after.status_code, after.content) == (200, usual.content)
    assert time.monotonic() - gone < 3 * usual_s + 1
