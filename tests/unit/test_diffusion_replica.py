"""The diffusion replica as a plain object, with stand-in models."""

import asyncio
import threading
import time

import numpy as np
import pytest
from pydantic import ValidationError

from deployments.diffusion import DiffusionReplica
from deployments.family import FamilySetup
from inpaint.diffusion import Step
from inpaint.errors import (
    ContentRefusedError,
    MaskError,
    ModelError,
    OutOfMemoryError,
    WeightsMissingError,
)
from inpaint.params import DiffusionParams
from inpaint.protocols import Painted
from inpaint.specs import AdapterSpec
from tests.fake_steps import Stepping, step_spec
from tests.unit.test_erase_replica import Reports, tile

LIMIT_S = 5


@pytest.fixture(autouse=True)
def log(monkeypatch):
    """What the runs of one test did."""
    monkeypatch.setattr(Stepping, "begun", [])
    monkeypatch.setattr(Stepping, "taken", [])
    monkeypatch.setattr(Stepping, "permits", None)


@pytest.fixture
def permits(monkeypatch):
    """Steps wait for them."""
    semaphore = threading.Semaphore(0)
    monkeypatch.setattr(Stepping, "permits", semaphore)
    yield semaphore
    semaphore.release(1000)


def replica_of(*specs, report=None, **setup):
    setup = FamilySetup("Painters", specs or (step_spec(),), "cpu", **setup)
    return DiffusionReplica(setup, "replica-1", report or Reports().take)


def asked(prompt="a fox", steps=3, **more):
    return DiffusionParams(prompt=prompt, sd_steps=steps, seed=7, **more)


def run_of(replica, params=None, model="steps", previews=False, size=(8, 16)):
    return replica.paint(model, *tile(*size), params or asked(), previews)


async def events_of(run):
    return [event async for event in run]


def started(replica, *prompts, **more):
    """A task for each prompt, in order."""
    return [
        asyncio.create_task(events_of(run_of(replica, asked(prompt), **more))) for prompt in prompts
    ]


async def until(what):
    end = time.monotonic() + LIMIT_S
    while not what():
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


async def soon(*tasks):
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), LIMIT_S)


async def test_steps_come_one_by_one_and_then_the_picture(permits):
    run = run_of(replica_of())
    for number in (1, 2, 3):
        permits.release()
        assert await asyncio.wait_for(anext(run), LIMIT_S) == Step(number, 3)
    painted = await asyncio.wait_for(anext(run), LIMIT_S)
    image, mask = tile(8, 16)
    assert isinstance(painted, Painted)
    np.testing.assert_array_equal(painted.image[mask == 0], image[mask == 0])
    assert (painted.image[mask > 0] == (7, 3, 200)).all()
    assert painted.batch == 1
    assert painted.queue_ms >= 0
    assert painted.forward_ms > 0
    with pytest.raises(StopAsyncIteration):
        await anext(run)


@pytest.mark.parametrize("previews", [True, False])
async def test_previews_come_where_they_are_asked_for(previews):
    *steps, _ = await events_of(run_of(replica_of(), previews=previews))
    seen = [None if step.preview is None else int(step.preview[0, 0, 0]) for step in steps]
    assert seen == ([1, 2, 3] if previews else [None] * 3)


async def test_sizes_that_differ_are_refused():
    run = replica_of().paint("steps", tile(8, 8)[0], tile(8, 9)[1], asked())
    with pytest.raises(MaskError):
        await anext(run)


async def test_runs_take_turns_in_the_order_of_their_arrival(permits):
    tasks = started(replica_of(), "first", "second", "third")
    permits.release(9)
    await soon(*tasks)
    assert Stepping.begun == ["first", "second", "third"]
    assert [prompt for prompt, _ in Stepping.taken] == sorted(
        [prompt for prompt, _ in Stepping.taken], key=Stepping.begun.index
    )


@pytest.mark.parametrize("ending", ["cancelled", "closed"])
async def test_a_caller_who_goes_stops_the_run_at_its_next_step(permits, ending):
    replica = replica_of()
    permits.release()
    if ending == "closed":
        run = run_of(replica, asked("gone", steps=100))
        await anext(run)
        await run.aclose()
    else:
        (task,) = started(replica, "gone")
        await until(lambda: Stepping.taken)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    (after,) = started(replica, "after")
    permits.release(4)  # one for the run that must stop, three for the next
    events = (await soon(after))[0]
    assert isinstance(events[-1], Painted)
    assert [entry for entry in Stepping.taken if entry[0] == "gone"] == [("gone", 1), ("gone", 2)]
    await replica.check_health()


async def test_a_caller_who_goes_while_waiting_never_starts(permits):
    replica = replica_of()
    first, waiting, last = started(replica, "first", "waiting", "last")
    await until(lambda: Stepping.begun)
    await asyncio.sleep(0.01)
    waiting.cancel()
    await soon(waiting)
    permits.release(6)
    await soon(first, last)
    assert Stepping.begun == ["first", "last"]


async def test_a_model_is_kept_until_the_stopped_run_has_ended(permits):
    reports = Reports()
    replica = replica_of(step_spec("a"), step_spec("b"), report=reports.take)
    replica.reconfigure({"max_loaded_mb": 1})
    (gone,) = started(replica, "gone", model="a")
    await until(lambda: Stepping.begun)
    gone.cancel()
    (other,) = started(replica, "other", model="b")
    await asyncio.sleep(0.02)
    await replica.check_health()
    assert reports[-1].loaded == ("a",)
    permits.release(4)
    assert isinstance((await soon(other))[0][-1], Painted)
    await replica.check_health()
    assert reports[-1].loaded == ("b",)


@pytest.mark.parametrize(
    ("prompt", "error"),
    [("memory", OutOfMemoryError), ("defect", ModelError), ("flagged", ContentRefusedError)],
)
async def test_an_error_ends_one_run_and_the_replica_goes_on(prompt, error):
    replica = replica_of(step_spec(runner="Failing"))
    run = run_of(replica, asked(prompt))
    assert await anext(run) == Step(1, 3)
    with pytest.raises(error) as caught:
        await anext(run)
    assert "secret" not in f"{caught.value.context}"
    assert (error is ContentRefusedError) or "secret" not in caught.value.detail
    await replica.check_health()
    assert isinstance((await events_of(run_of(replica)))[-1], Painted)


async def test_what_did_not_fit_is_told_with_its_size_and_frees_the_cache():
    reports = Reports()
    replica = replica_of(step_spec(runner="Failing"), step_spec("idle"), report=reports.take)
    await events_of(run_of(replica, model="idle"))
    with pytest.raises(OutOfMemoryError, match=r"Painting 16x8 px did not fit .*sd_scale"):
        await events_of(run_of(replica, asked("memory")))
    await replica.check_health()
    assert "idle" not in reports[-1].loaded


async def test_a_lost_device_fails_the_health_check():
    replica = replica_of(step_spec(runner="Failing"))
    with pytest.raises(ModelError):
        await events_of(run_of(replica, asked("device")))
    with pytest.raises(RuntimeError, match="device"):
        await replica.check_health()


async def test_a_run_hangs_when_no_step_comes_and_not_when_it_is_long(permits):
    replica = replica_of()
    replica.reconfigure({"hang_after_s": 0.2})
    (task,) = started(replica, "long")
    await until(lambda: Stepping.begun)
    for number in (1, 2):
        await asyncio.sleep(0.15)
        await replica.check_health()
        permits.release()
        await until(lambda wanted=number: len(Stepping.taken) == wanted)
    await asyncio.sleep(0.25)
    with pytest.raises(RuntimeError, match="has run for over"):
        await replica.check_health()
    permits.release()
    await soon(task)
    await replica.check_health()


async def test_an_answer_of_the_wrong_kind_is_an_error():
    with pytest.raises(ModelError, match="array of the wrong kind"):
        await events_of(run_of(replica_of(step_spec(runner="WrongShape"))))


async def test_idle_models_make_room():
    reports = Reports()
    specs = [step_spec(name, memory_mb=2) for name in ("a", "b", "c")]
    replica = replica_of(*specs, report=reports.take)
    replica.reconfigure({"max_loaded_mb": 4})
    for name in ("a", "b", "c"):
        await events_of(run_of(replica, model=name))
    await replica.check_health()
    assert (reports[-1].loaded, reports[-1].held_bytes) == (("b", "c"), 4 * 2**20)


async def test_half_precision_counts_half():
    reports = Reports()
    spec = step_spec(memory_mb=6, precisions=("fp32", "fp16"))
    replica = replica_of(spec, report=reports.take, precision="fp16")
    await events_of(run_of(replica))
    await replica.check_health()
    assert reports[-1].held_bytes == 3 * 2**20


@pytest.mark.parametrize("config", [{"max_batch_pixels": 1}, {"threads": 0}, {"hang_after_s": 0}])
async def test_reconfigure_refuses_what_it_does_not_know(config):
    with pytest.raises(ValidationError):
        replica_of().reconfigure(config)


async def colour_of(replica, params=None):
    *_, painted = await events_of(run_of(replica, params))
    return painted.image[tile(8, 16)[1] > 0][0].tolist()


async def test_the_familys_options_reach_the_model():
    spec = step_spec(runner="Optioned", precisions=("fp32", "fp16"))
    assert (await colour_of(replica_of(spec)))[0] == 0
    options = {"low_mem": True, "cpu_textencoder": True, "safety_checker": "off"}
    assert (await colour_of(replica_of(spec, **options)))[0] == 1 + 4 + 8
    assert (await colour_of(replica_of(spec, cpu_offload=True, precision="fp16")))[0] == 2 + 16


def adapter_of(tmp_path, role, base="sd15"):
    """An adapter that is a file of the test's; its file is not written yet."""
    return AdapterSpec(
        name=f"{role}-{base}",
        role=role,
        bases=(base,),
        licence={"name": "MIT"},
        path=tmp_path / f"{role}-{base}.bin",
        memory_mb=0,
    )


async def test_adapters_reach_the_models_that_they_fit(tmp_path):
    adapters = tuple(
        adapter_of(tmp_path, role, base)
        for base in ("sdxl", "sd15")
        for role in ("lcm-lora", "vae", "tokenizer")
    )
    for adapter in adapters:
        if adapter.role != "tokenizer":
            adapter.path.write_bytes(b"numbers")
    spec = step_spec(
        runner="Optioned", diffusion={"base": "sd15", "inpainting": True, "is_single_file": True}
    )
    replica = replica_of(spec, adapters=adapters, model_dir=tmp_path)
    assert (await colour_of(replica))[1] == 1  # the VAE; the tokenizer is not here
    assert (await colour_of(replica, asked(sd_lcm_lora=True)))[1] == 1 + 8


async def test_an_adapter_that_is_asked_for_and_missing_is_told(tmp_path):
    spec = step_spec(runner="Optioned", diffusion={"base": "sd15", "inpainting": True})
    adapters = (adapter_of(tmp_path, "lcm-lora"),)
    replica = replica_of(spec, adapters=adapters, model_dir=tmp_path)
    with pytest.raises(WeightsMissingError, match="lcm-lora-sd15"):
        await events_of(run_of(replica, asked(sd_lcm_lora=True)))
    assert (await colour_of(replica))[1] == 0
