"""Checkpoints of the family Special, on a real Serve application."""

import numpy as np
import pytest

from inpaint.examples import EXAMPLE
from tests.conftest import pixels
from tests.serve.special_checkpoints import PAINT_BY_EXAMPLE
from tests.serve.special_requests import ANYTEXT, POWERPAINT, hole_for, picture_for

COMMON = ({"sd_steps": 3}, {"sd_guidance_scale": 1.0}, {"seed": 8})
"""Changes that count for every model."""
TASKS = ("context-aware", "shape-guided", "object-remove")
"""PowerPaint's besides text-guided, which is the one if none is named."""


def test_paint_by_example_shows_what_the_example_shows(special):
    changes = ({"example": 1}, {"sd_sampler": "Euler a"}, *COMMON)
    usual, *_ = special.paint_all(PAINT_BY_EXAMPLE, *changes)
    np.testing.assert_array_equal(special.paint_again(PAINT_BY_EXAMPLE), usual)


def test_powerpaint_has_tasks(special):
    tasks = [{"powerpaint_task": task} for task in TASKS]
    looser = {"powerpaint_task": "shape-guided", "fitting_degree": 0.4}
    special.paint_all(POWERPAINT, *tasks, looser)


def test_powerpaint_reads_what_stable_diffusion_reads(special):
    special.paint_all(
        POWERPAINT,
        {"prompt": "a dog"},
        {"negative_prompt": "a dog"},
        {"sd_strength": 0.6},
        {"sd_sampler": "Euler a"},
        *COMMON,
    )


def test_powerpaint_extends_the_picture(special):
    box = {"extender_x": -64, "extender_y": 0, "extender_width": 512, "extender_height": 512}
    results = []
    for task in ("outpainting", "text-guided"):
        answer = special.ask(POWERPAINT, powerpaint_task=task, use_extender="true", **box)
        assert answer.status_code == 200, answer.text[:500]
        results.append(pixels(answer.content))
    picture, hole = picture_for(POWERPAINT), hole_for(POWERPAINT)
    for result in results:
        assert result.shape == (512, 576, 3)
        np.testing.assert_array_equal(result[:, 64:][hole == 0], picture[hole == 0])
    assert (results[0] != results[1])[:, :64].any(axis=2).mean() > 0.5


def test_outpainting_and_removing_say_the_same_to_the_network(special):
    removed, extended = (
        special.paint(POWERPAINT, powerpaint_task=task) for task in ("object-remove", "outpainting")
    )
    np.testing.assert_array_equal(removed, extended)


def test_anytext_writes_the_quoted_words(special):
    special.paint_all(
        ANYTEXT,
        {"prompt": 'a sign with "CD" on it'},
        {"prompt": 'a cat with "AB" on it'},
        {"negative_prompt": "a dog"},
        {"sd_strength": 0.5},
        *COMMON,
    )


@pytest.mark.parametrize(
    ("model", "fields", "named"),
    [
        (PAINT_BY_EXAMPLE, {"example": None}, [EXAMPLE]),
        (PAINT_BY_EXAMPLE, {"negative_prompt": "a dog"}, ["negative_prompt"]),
        (POWERPAINT, {"enable_controlnet": "true"}, ["enable_controlnet"]),
        (POWERPAINT, {"example": 0}, [EXAMPLE]),
        (POWERPAINT, {"powerpaint_task": "knit"}, ["powerpaint_task"]),
        (ANYTEXT, {"prompt": "a sign"}, ["prompt"]),
        (ANYTEXT, {"prompt": '"one" and "two"'}, ["quotes 2 lines", "1 separate part"]),
        (ANYTEXT, {"prompt": f'"{21 * "x"}"'}, ["prompt", "20"]),
        (ANYTEXT, {"sd_sampler": "Euler a"}, ["sd_sampler"]),
    ],
)
def test_what_a_model_cannot_paint_is_refused_by_name(special, model, fields, named):
    answer = special.ask(model, **fields)
    assert answer.status_code == 422
    assert all(words in answer.text for words in named), answer.text[:300]
