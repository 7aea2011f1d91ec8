"""Special models, and networks that guide a checkpoint, on a real Serve application."""

from itertools import combinations

import cv2
import httpx
import numpy as np
import pytest

from tests.conftest import pixels, png
from tests.events import events_in, events_of
from tests.serve import special_checkpoints as special
from tests.serve.checkpoints import SD15, request_of
from tests.serve.special_checkpoints import PAINT_BY_EXAMPLE, PLAIN, PLAIN_XL

TASKS = ("text-guided", "context-aware", "shape-guided", "object-remove", "outpainting")
EXAMPLE = "paint_by_example_example_image"
PROMPT = {
    PAINT_BY_EXAMPLE: None,
    "anytext": 'a sign with "AB" on it',
}
"""What each model is asked for, where a cat will not do."""


@pytest.fixture(scope="module")
def special_weights(model_dir):
    special.write_special_checkpoints(model_dir)


@pytest.fixture(scope="module")
def picture():
    """(512, 512, 3) uint8 RGB: smooth, with edges for control pictures to find."""
    coarse = np.random.default_rng(3).integers(0, 256, (9, 9, 3), np.uint8)
    image = cv2.resize(coarse, (512, 512), interpolation=cv2.INTER_CUBIC)
    image[60:450:40] = 255 - image[60:450:40]
    return image


@pytest.fixture(scope="module")
def hole():
    mask = np.zeros((512, 512), np.uint8)
    mask[180:330, 100:420] = 255
    return mask


@pytest.fixture
def ask(client, special_weights, picture, hole):
    """A function: the answer to a request of a model, whatever it is."""

    def ask(model, example=None, accept="image/png", **fields):
        request = request_of(
            picture,
            hole,
            model=model,
            accept=accept,
            **{"prompt": PROMPT.get(model, "a cat"), **fields},
        )
        if example is not None:
            request["files"][EXAMPLE] = png(example)
        return client.post("/inpaint", **request)

    return ask


@pytest.fixture
def paint(ask, picture, hole):
    """A function: the pixels of a run; only the hole differs from the picture."""

    def paint(model, example=None, **fields):
        answer = ask(model, example, **fields)
        assert answer.status_code == 200, answer.text[:500]
        assert answer.headers["x-model"] == model
        result = pixels(answer.content)
        np.testing.assert_array_equal(result[hole == 0], picture[hole == 0])
        assert (result != picture).any(axis=2)[hole > 0].mean() > 0.9
        return result

    return paint


@pytest.fixture(scope="module")
def examples():
    """Two pictures that show something else each."""
    generator = np.random.default_rng(5)
    return [
        cv2.resize(generator.integers(0, 256, (size, size, 3), np.uint8), (300, 200))
        for size in (3, 40)
    ]


def all_differ(results, hole):
    """Whether each two differ by more than rounding, inside the hole."""
    means = [np.abs(a.astype(int) - b)[hole > 0].mean() for a, b in combinations(results, 2)]
    return min(means) > 0.02


# Checkpoints of their own


def test_paint_by_example_shows_what_the_example_shows(paint, ask, examples, hole):
    first, second = (paint(PAINT_BY_EXAMPLE, example) for example in examples)
    other_sampler = paint(PAINT_BY_EXAMPLE, examples[0], sd_sampler="Euler a")
    assert all_differ([first, second, other_sampler], hole)
    np.testing.assert_array_equal(paint(PAINT_BY_EXAMPLE, examples[0]), first)
    answer = ask(PAINT_BY_EXAMPLE)
    assert (answer.status_code, EXAMPLE in answer.json()["detail"]) == (422, True)
    answer = ask(PAINT_BY_EXAMPLE, examples[0], negative_prompt="a dog")
    assert (answer.status_code, "negative_prompt" in answer.json()["detail"]) == (422, True)


def test_powerpaint_has_five_tasks(paint, hole):
    results = [paint("powerpaint", powerpaint_task=task) for task in TASKS[:4]]
    looser = paint("powerpaint", powerpaint_task="shape-guided", fitting_degree=0.4)
    assert all_differ([*results, looser], hole)


def test_anytext_writes_the_quoted_words(paint, ask, hole):
    results = [paint("anytext", prompt=f'a sign with "{word}" on it') for word in ("AB", "CD")]
    assert all_differ(results, hole)
    answer = ask("anytext", prompt='"one", "two" and "three"')
    assert answer.status_code == 422
    assert "3" in answer.json()["detail"]


# Guided checkpoints


@pytest.mark.parametrize(
    ("model", "methods"),
    [(PLAIN, (special.CANNY, special.INPAINT, special.DEPTH)), (PLAIN_XL, (special.CANNY_XL,))],
)
def test_controlnets_are_chosen_for_each_request(paint, hole, model, methods):
    plain = paint(model)
    guided = [
        paint(model, enable_controlnet="true", controlnet_method=method) for method in methods
    ]
    stronger = paint(model, enable_controlnet="true", controlnet_method=methods[0],
                     controlnet_conditioning_scale=1.0)  # fmt: skip
    assert all_differ([plain, *guided, stronger], hole)
    np.testing.assert_array_equal(paint(model), plain)


def test_a_controlnet_guides_a_checkpoint_that_sees_the_mask_too(ask, client):
    card = client.get(f"/models/{SD15}").json()
    assert card["controlnets"][0] == special.CANNY
    assert (card["brushnets"], card["takes_powerpaint_v2"]) == ([], False)


def test_a_control_picture_that_cannot_be_made_is_refused(ask):
    answer = ask(PLAIN, enable_controlnet="true", controlnet_method=special.OPENPOSE)
    assert (answer.status_code, answer.json()["title"]) == (503, "extra-missing")
    assert "controlnet_aux" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("model", "methods"),
    [
        (PLAIN, (special.RANDOM_MASK, special.SEGMENTATION_MASK)),
        (PLAIN_XL, (special.RANDOM_MASK_XL,)),
    ],
)
def test_brushnets_are_chosen_for_each_request(paint, hole, model, methods):
    plain = paint(model)
    guided = [paint(model, enable_brushnet="true", brushnet_method=method) for method in methods]
    weaker = paint(model, enable_brushnet="true", brushnet_method=methods[0],
                   brushnet_conditioning_scale=0.3)  # fmt: skip
    assert all_differ([plain, *guided, weaker], hole)
    np.testing.assert_array_equal(paint(model), plain)


def test_powerpaint_v2_has_five_tasks(paint, hole):
    plain = paint(PLAIN)
    results = [
        paint(PLAIN, enable_powerpaint_v2="true", powerpaint_task=task) for task in TASKS[:4]
    ]
    assert all_differ([plain, *results], hole)
    np.testing.assert_array_equal(paint(PLAIN), plain)


@pytest.mark.parametrize(
    ("model", "fields", "named"),
    [
        (SD15, {"enable_brushnet": "true"}, ["enable_brushnet"]),
        (SD15, {"enable_powerpaint_v2": "true"}, ["enable_powerpaint_v2"]),
        (PLAIN_XL, {"enable_powerpaint_v2": "true"}, ["enable_powerpaint_v2"]),
        ("powerpaint", {"enable_controlnet": "true"}, ["enable_controlnet"]),
        (
            PLAIN,
            {"enable_brushnet": "true", "enable_controlnet": "true"},
            ["enable_brushnet", "enable_controlnet"],
        ),
        (
            PLAIN,
            {"enable_controlnet": "true", "controlnet_method": special.CANNY_XL},
            [special.CANNY_XL, special.CANNY],
        ),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(ask, model, fields, named):
    answer = ask(model, **fields)
    assert answer.status_code == 422
    assert all(word in answer.json()["detail"] for word in named)


# Progress and cancelling

VARIANTS = [
    (PAINT_BY_EXAMPLE, {}),
    ("powerpaint", {"powerpaint_task": "object-remove"}),
    ("anytext", {}),
    (PLAIN, {"enable_controlnet": "true"}),
    (PLAIN, {"enable_brushnet": "true"}),
    (PLAIN, {"enable_powerpaint_v2": "true"}),
]


@pytest.mark.parametrize(("model", "fields"), VARIANTS)
def test_each_step_is_told_and_the_picture_is_the_same(ask, examples, model, fields):
    example = examples[0] if model == PAINT_BY_EXAMPLE else None
    fields = {"sd_steps": 4, "previews": "true", **fields}
    told = events_of(ask(model, example, accept="text/event-stream", **fields).text)
    steps = [data for name, data in told if name == "step"]
    assert [data["step"] for data in steps] == list(range(1, steps[0]["total"] + 1))
    assert all(data["preview"] for data in steps)
    assert told[-1][0] == "result"


@pytest.mark.parametrize(("model", "fields"), VARIANTS)
def test_cancelling_ends_the_run_before_its_last_step(
    url, client, special_weights, picture, hole, examples, model, fields
):
    request = request_of(
        picture, hole, model=model, accept="text/event-stream", sd_steps=100,
        **{"prompt": PROMPT.get(model, "a cat"), **fields},
    )  # fmt: skip
    if model == PAINT_BY_EXAMPLE:
        request["files"][EXAMPLE] = png(examples[0])
    with (
        httpx.Client(base_url=url, timeout=60) as other,
        other.stream("POST", "/inpaint", **request) as answer,
    ):
        told = []
        for name, data in events_in(answer):
            told.append((name, data))
            if name == "step" and data["step"] == 2:
                identity = told[0][1]["request_id"]
                assert client.delete(f"/requests/{identity}").status_code < 300
    assert told[-1][0] == "error", told[-1]
    assert told[-1][1]["title"] == "cancelled"
    last = max(data["step"] for name, data in told if name == "step")
    assert last < 50
