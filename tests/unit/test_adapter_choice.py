"""Which adapters a request asks for."""

import pytest

from inpaint.adapters import (
    BRUSHNETS,
    CONTROLNETS,
    LCM_LORA,
    POWERPAINT_V2,
    SWITCHES,
    asked_for,
    choices,
)
from inpaint.errors import ParamsError
from inpaint.params import DiffusionParams
from tests.fakes import fake_adapter, fake_spec

CANNY, OPENPOSE, DEPTH = "a/canny", "b/openpose", "c/depth"
FITTING = (
    fake_adapter("a/lora", "lcm-lora"),
    fake_adapter("a/vae", "vae"),
    fake_adapter(CANNY, "controlnet-canny"),
    fake_adapter(OPENPOSE, "controlnet-openpose"),
    fake_adapter(DEPTH, "controlnet-depth"),
    fake_adapter("d/estimator", "depth-estimator"),
    fake_adapter("e/random", "brushnet"),
    fake_adapter("f/segments", "brushnet"),
    fake_adapter("g/power", "powerpaint-v2"),
)


def names(fitting=FITTING, **params):
    asked = asked_for(DiffusionParams(**params), fitting)
    assert all(adapter.role == role for role, adapter in asked.items())
    return {role: adapter.name for role, adapter in asked.items()}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, {}),
        ({"sd_lcm_lora": True}, {"lcm-lora": "a/lora"}),
        ({"enable_controlnet": True}, {"controlnet-canny": CANNY}),
        (
            {"enable_controlnet": True, "controlnet_method": OPENPOSE, "sd_lcm_lora": True},
            {"controlnet-openpose": OPENPOSE, "lcm-lora": "a/lora"},
        ),
        (
            {"enable_controlnet": True, "controlnet_method": DEPTH},
            {"controlnet-depth": DEPTH, "depth-estimator": "d/estimator"},
        ),
        ({"enable_brushnet": True}, {"brushnet": "e/random"}),
        ({"enable_brushnet": True, "brushnet_method": "f/segments"}, {"brushnet": "f/segments"}),
        ({"enable_powerpaint_v2": True}, {"powerpaint-v2": "g/power"}),
    ],
)
def test_the_named_or_the_first_is_asked_for(params, expected):
    assert names(**params) == expected


def test_methods_of_switches_that_are_off_ask_for_nothing():
    assert names(controlnet_method="unheard/of", brushnet_method="unheard/of") == {}


@pytest.mark.parametrize(
    ("switch", "method", "listed"),
    [
        ("enable_controlnet", "controlnet_method", (CANNY, OPENPOSE, DEPTH)),
        ("enable_brushnet", "brushnet_method", ("e/random", "f/segments")),
    ],
)
def test_an_unknown_method_is_told_with_those_that_there_are(switch, method, listed):
    with pytest.raises(ParamsError) as raised:
        names(**{switch: True, method: "unheard/of"})
    for word in (method, "unheard/of", *listed):
        assert word in raised.value.detail
    assert "a/lora" not in raised.value.detail


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.name)
def test_a_switch_without_anything_that_fits_is_told_by_name(switch):
    others = [adapter for adapter in FITTING if not adapter.role.startswith(switch.role)]
    with pytest.raises(ParamsError, match=rf"^{switch.name}: .* no {switch.what} "):
        names(others, **{switch.name: True})


def test_a_depth_controlnet_without_its_estimator_is_told():
    others = [adapter for adapter in FITTING if adapter.role != "depth-estimator"]
    with pytest.raises(ParamsError, match="depth estimator"):
        names(others, enable_controlnet=True, controlnet_method=DEPTH)


def test_choices_are_those_of_switches_that_the_model_reads():
    spec = fake_spec(kind="diffusion", reads=["enable_controlnet", "enable_powerpaint_v2"])
    found = {
        switch: [adapter.name for adapter in choices(switch, spec, FITTING)]
        for switch in (CONTROLNETS, BRUSHNETS, POWERPAINT_V2, LCM_LORA)
    }
    assert found == {
        CONTROLNETS: [CANNY, OPENPOSE, DEPTH],
        BRUSHNETS: [],
        POWERPAINT_V2: ["g/power"],
        LCM_LORA: [],
    }
