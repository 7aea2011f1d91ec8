"""Networks that guide a checkpoint, chosen for each request, on a real Serve application."""

import numpy as np
import pytest

from tests.serve import special_checkpoints as names
from tests.serve.checkpoints import SD15
from tests.serve.special_checkpoints import PLAIN, PLAIN_XL

TASKS = ("text-guided", "context-aware", "shape-guided", "object-remove")


def controlnet(method, **fields):
    return {"enable_controlnet": "true", "controlnet_method": method, **fields}


def brushnet(method, **fields):
    return {"enable_brushnet": "true", "brushnet_method": method, **fields}


def power_paint(task, **fields):
    return {"enable_powerpaint_v2": "true", "powerpaint_task": task, **fields}


GUIDES = {
    "ControlNets of SD15": (
        PLAIN,
        controlnet(names.CANNY),
        controlnet(names.INPAINT),
        controlnet(names.DEPTH),
        controlnet(names.CANNY, controlnet_conditioning_scale=1.0),
        controlnet(names.CANNY, sd_strength=0.6),
        controlnet(names.CANNY, prompt="a dog"),
    ),
    "ControlNet of a checkpoint that sees the mask": (SD15, controlnet(names.CANNY)),
    "ControlNets of SDXL": (
        PLAIN_XL,
        controlnet(names.CANNY_XL),
        controlnet(names.CANNY_XL, controlnet_conditioning_scale=1.0),
    ),
    "BrushNets of SD15": (
        PLAIN,
        brushnet(names.RANDOM_MASK),
        brushnet(names.SEGMENTATION_MASK),
        brushnet(names.RANDOM_MASK, brushnet_conditioning_scale=0.3),
        brushnet(names.RANDOM_MASK, prompt="a dog"),
    ),
    "BrushNet of SDXL": (
        PLAIN_XL,
        brushnet(names.RANDOM_MASK_XL),
        brushnet(names.RANDOM_MASK_XL, brushnet_conditioning_scale=0.3),
    ),
    "PowerPaint v2": (
        PLAIN,
        *(power_paint(task) for task in TASKS),
        power_paint("shape-guided", fitting_degree=0.4),
        power_paint("text-guided", prompt="a dog"),
    ),
}


@pytest.mark.parametrize(("model", "changes"), [(m, c) for m, *c in GUIDES.values()], ids=GUIDES)
def test_each_guide_counts_and_leaves_the_checkpoint_alone(special, model, changes):
    plain, *guided = special.paint_all(model, *changes)
    np.testing.assert_array_equal(special.paint_again(model), plain)
    np.testing.assert_array_equal(special.paint_again(model, **changes[0]), guided[0])


def test_a_guide_that_is_not_named_is_the_models_first(special):
    for switch, first in (
        ("enable_controlnet", controlnet(names.CANNY)),
        ("enable_brushnet", brushnet(names.RANDOM_MASK)),
    ):
        np.testing.assert_array_equal(
            special.paint_again(PLAIN, **{switch: "true"}), special.paint(PLAIN, **first)
        )


def test_models_tells_what_each_takes(special, client):
    card = client.get(f"/models/{SD15}").json()
    assert card["controlnets"][0] == names.CANNY
    assert (card["brushnets"], card["takes_powerpaint_v2"]) == ([], False)
    card = client.get(f"/models/{PLAIN}").json()
    assert card["brushnets"] == [names.RANDOM_MASK, names.SEGMENTATION_MASK]
    assert card["takes_powerpaint_v2"] is True


def test_a_control_picture_that_cannot_be_made_is_refused(special):
    answer = special.ask(PLAIN, **controlnet(names.OPENPOSE))
    assert (answer.status_code, answer.json()["title"]) == (503, "extra-missing")
    assert "controlnet_aux" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("model", "fields", "named"),
    [
        (SD15, brushnet(names.RANDOM_MASK), ["enable_brushnet"]),
        (SD15, power_paint("text-guided"), ["enable_powerpaint_v2"]),
        (PLAIN_XL, power_paint("text-guided"), ["enable_powerpaint_v2"]),
        (
            PLAIN,
            brushnet(names.RANDOM_MASK) | controlnet(names.CANNY),
            ["enable_brushnet", "enable_controlnet"],
        ),
        (
            PLAIN,
            power_paint("text-guided") | controlnet(names.CANNY),
            ["enable_powerpaint_v2", "enable_controlnet"],
        ),
        (
            PLAIN,
            brushnet(names.RANDOM_MASK) | power_paint("text-guided"),
            ["enable_brushnet", "enable_powerpaint_v2"],
        ),
        (
            PLAIN,
            brushnet(names.RANDOM_MASK, sd_lcm_lora="true"),
            ["enable_brushnet", "sd_lcm_lora"],
        ),
        (PLAIN, brushnet(names.RANDOM_MASK, sd_strength=0.5), ["enable_brushnet", "sd_strength"]),
        (
            PLAIN,
            controlnet(names.CANNY, use_extender="true"),
            ["enable_controlnet", "use_extender"],
        ),
        (PLAIN, controlnet(names.CANNY_XL), [names.CANNY_XL, names.CANNY]),
        (PLAIN, brushnet(names.RANDOM_MASK_XL), [names.RANDOM_MASK_XL, names.RANDOM_MASK]),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(special, model, fields, named):
    answer = special.ask(model, **fields)
    assert answer.status_code == 422
    assert all(word in answer.json()["detail"] for word in named)
