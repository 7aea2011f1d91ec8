"""What a diffusion replica hands on besides picture and mask: examples and adapters."""

import asyncio
import threading

import numpy as np
import pytest

from deployments.diffusion import DiffusionReplica
from deployments.family import FamilySetup
from inpaint.diffusion import Step
from inpaint.errors import ParamsError, WeightsMissingError
from inpaint.params import DiffusionParams
from inpaint.protocols import Painted
from tests.fake_steps import Showing, step_spec
from tests.fakes import fake_adapter
from tests.unit.test_erase_replica import Reports, tile

LIMIT_S = 5
EXAMPLE = np.full((5, 9, 3), (10, 20, 30), np.uint8)
PLAIN = {"base": "sd15", "inpainting": False}
ROLES = ("lcm-lora", "controlnet-canny", "controlnet-depth", "depth-estimator", "brushnet",
         "powerpaint-v2")  # fmt: skip


@pytest.fixture(autouse=True)
def log(monkeypatch):
    """What the runs of one test were given."""
    for name in ("begun", "taken", "shown", "given"):
        monkeypatch.setattr(Showing, name, [])
    monkeypatch.setattr(Showing, "permits", None)


@pytest.fixture
def replica(tmp_path):
    """Its adapters are files of the test's, called as their roles; the second BrushNet is not."""
    adapters = [fake_adapter(f"a/{role}", role, path=tmp_path / role) for role in ROLES]
    adapters.append(fake_adapter("a/segments", "brushnet", path=tmp_path / "segments"))
    for adapter in adapters[:-1]:
        adapter.path.write_bytes(b"numbers")
    specs = step_spec(runner="Showing", diffusion=PLAIN), step_spec("bare", "Showing")
    setup = FamilySetup("Painters", specs, "cpu", adapters=tuple(adapters), model_dir=tmp_path)
    return DiffusionReplica(setup, "replica-1", Reports().take)


def paint(replica, model="steps", example=None, **params):
    asked = DiffusionParams(sd_steps=3, seed=7, **params)
    return replica.paint(model, *tile(8, 16), asked, False, example)


async def events_of(run):
    return [event async for event in run]


async def test_the_example_reaches_the_model(replica):
    *steps, painted = await events_of(paint(replica, example=EXAMPLE))
    assert steps == [Step(1, 3), Step(2, 3), Step(3, 3)]
    assert (painted.image[tile(8, 16)[1] > 0] == (10, 20, 30)).all()
    await events_of(paint(replica))
    assert Showing.shown == [(5, 9, 3), None]


@pytest.mark.parametrize(
    ("params", "given"),
    [
        ({}, set()),
        ({"enable_controlnet": True}, {"controlnet-canny"}),
        (
            {"enable_controlnet": True, "controlnet_method": "a/controlnet-depth",
             "sd_lcm_lora": True},
            {"controlnet-depth", "depth-estimator", "lcm-lora"},
        ),
        ({"enable_brushnet": True}, {"brushnet"}),
        ({"enable_powerpaint_v2": True}, {"powerpaint-v2"}),
    ],
)  # fmt: skip
async def test_what_is_asked_for_reaches_the_model_by_role(replica, params, given):
    await events_of(paint(replica, **params))
    assert Showing.given == [{role: role for role in given}]


async def test_each_run_gets_what_it_asked_for_itself(replica):
    for params in ({"enable_brushnet": True}, {}, {"enable_controlnet": True}):
        await events_of(paint(replica, **params))
    assert [set(given) for given in Showing.given] == [{"brushnet"}, set(), {"controlnet-canny"}]


async def test_what_is_missing_or_does_not_fit_is_told_before_the_model_is_loaded(replica):
    with pytest.raises(WeightsMissingError, match="a/segments"):
        await anext(paint(replica, enable_brushnet=True, brushnet_method="a/segments"))
    with pytest.raises(ParamsError, match="a/brushnet, a/segments"):
        await anext(paint(replica, enable_brushnet=True, brushnet_method="a/other"))
    with pytest.raises(ParamsError, match="enable_controlnet"):
        await anext(paint(replica, "bare", enable_controlnet=True))
    assert not replica.record_routing_stats()["models"]
    assert Showing.begun == []


async def test_a_caller_who_goes_stops_a_special_run_too(replica, monkeypatch):
    permits = threading.Semaphore(1)
    monkeypatch.setattr(Showing, "permits", permits)
    run = paint(replica, example=EXAMPLE, enable_brushnet=True, prompt="gone")
    assert await asyncio.wait_for(anext(run), LIMIT_S) == Step(1, 3)
    await run.aclose()
    permits.release(4)  # one for the run that must stop, three for the next
    last = await asyncio.wait_for(events_of(paint(replica, prompt="after")), LIMIT_S)
    assert isinstance(last[-1], Painted)
    assert [number for prompt, number in Showing.taken if prompt == "gone"] == [1, 2]
    assert (last[-1].image[tile(8, 16)[1] > 0] == (7, 3, 200)).all()
