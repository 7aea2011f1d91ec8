"""What replicas tell of their work, each event once."""

import asyncio
import threading

import numpy as np
import pytest

from deployments.diffusion import DiffusionReplica
from deployments.erase import EraseReplica
from deployments.family import FamilySetup
from deployments.ocr import OcrReplica
from inpaint.errors import InpaintError, OutOfMemoryError
from inpaint.params import DiffusionParams, EraseParams
from inpaint.settings import MiB
from inpaint.texts import ReadOptions
from tests.fake_steps import step_spec
from tests.fakes import Gated, fake_spec
from tests.observing import Heard

PARAMS = EraseParams()


async def report(what):
    pass


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def gate(monkeypatch):
    """Models of class Gated wait for it."""
    event = threading.Event()
    monkeypatch.setattr(Gated, "gate", event)
    monkeypatch.setattr(Gated, "entered", threading.Event())
    yield event
    event.set()


def erasing(heard, *specs):
    return EraseReplica(FamilySetup("Erase", specs, "cpu"), "replica-1", report, heard)


def tile(side=8):
    return np.full((side, side, 3), 9, np.uint8), np.full((side, side), 255, np.uint8)


async def test_a_forward_is_told_after_the_load_it_waited_for(heard):
    replica = erasing(heard, fake_spec(memory_mb=3))
    for _ in range(2):
        await replica.paint("toy", *tile(), PARAMS)
    assert heard.events == [("loaded", "toy", 3 * MiB), ("ran", "toy", 1), ("ran", "toy", 1)]
    assert len(heard.seconds) == 3
    assert all(0 <= seconds < 1 for seconds in (*heard.seconds, *heard.waits))


async def test_items_of_one_batch_are_one_forward_with_a_wait_each(heard, gate):
    replica = erasing(heard, fake_spec(runner="Gated", batchable=True))
    calls = [asyncio.create_task(replica.paint("toy", *tile(), PARAMS))]
    await asyncio.to_thread(Gated.entered.wait, 3)
    calls += [asyncio.create_task(replica.paint("toy", *tile(), PARAMS)) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert heard.queue == [1, 0, 1, 2, 3]
    gate.set()
    await asyncio.gather(*calls)
    assert heard.events[1:] == [("ran", "toy", 1), ("ran", "toy", 3)]
    assert all(wait >= 0.04 for wait in heard.waits[1:]), "they waited for the first one"
    assert heard.queue[-1] == 0


async def test_the_wait_for_a_load_is_not_counted_as_a_wait_for_the_device(
    heard, gate, monkeypatch
):
    never = threading.Event()

    def slow_load(cls, spec, weights, options):
        never.wait(0.1)
        return cls(spec, options)

    monkeypatch.setattr(Gated, "load", classmethod(slow_load))
    gate.set()
    painted = await erasing(heard, fake_spec(runner="Gated")).paint("toy", *tile(), PARAMS)
    assert painted.queue_ms >= 100
    assert heard.seconds[0] >= 0.1
    assert heard.waits[0] < 0.09


async def test_a_model_that_makes_room_is_told_as_evicted(heard):
    replica = erasing(heard, fake_spec("one", memory_mb=6), fake_spec("two", memory_mb=6))
    replica.reconfigure({"max_loaded_mb": 10})
    await replica.paint("one", *tile(), PARAMS)
    await replica.paint("two", *tile(), PARAMS)
    assert heard.events[2:] == [("evicted", "one"), ("loaded", "two", 6 * MiB), ("ran", "two", 1)]


async def test_a_forward_without_memory_is_told_with_what_it_evicts(heard):
    replica = erasing(heard, fake_spec("idle"), fake_spec("large", "OutOfMemory"))
    await replica.paint("idle", *tile(), PARAMS)
    with pytest.raises(OutOfMemoryError):
        await replica.paint("large", *tile(65), PARAMS)
    assert heard.events[3:] == [
        ("failed", "large", "forward", "out-of-memory"),
        ("evicted", "idle"),
    ]


@pytest.mark.parametrize(
    ("runner", "work", "code"),
    [
        ("Unloadable", "load", "model-failed"),
        ("TooLargeToLoad", "load", "out-of-memory"),
        ("Failing", "forward", "model-failed"),
    ],
)
async def test_a_failure_is_told_with_its_code(heard, runner, work, code):
    with pytest.raises(InpaintError):
        await erasing(heard, fake_spec(runner=runner)).paint("toy", *tile(), PARAMS)
    assert heard.events[-1] == ("failed", "toy", work, code)


async def test_a_caller_that_goes_is_told(heard, gate):
    replica = erasing(heard, fake_spec(runner="Gated"))
    calls = [asyncio.create_task(replica.paint("toy", *tile(), PARAMS)) for _ in range(2)]
    await asyncio.to_thread(Gated.entered.wait, 3)
    calls[1].cancel()
    await asyncio.wait({calls[1]})
    gate.set()
    await calls[0]
    assert heard.events[1:] == [("cancelled", "toy"), ("ran", "toy", 1)]


async def test_a_diffusion_run_is_told_as_one_forward(heard):
    setup = FamilySetup("Painters", (step_spec(),), "cpu")
    replica = DiffusionReplica(setup, "replica-1", report, heard)
    params = DiffusionParams(prompt="a fox", sd_steps=3, seed=7)
    events = [event async for event in replica.paint("steps", *tile(), params)]
    assert len(events) == 4
    assert [event[:2] for event in heard.events] == [("loaded", "steps"), ("ran", "steps")]
    assert 0 <= heard.waits[0] < 1


async def test_a_reading_is_told_as_one_forward(heard):
    facts = {"family": "OCR", "kind": "ocr", "memory_mb": 3}
    spec = fake_spec("reader", f"{__name__}:Reader", **facts)
    replica = OcrReplica(FamilySetup("OCR", (spec,), "cpu"), "replica-1", report, heard)
    picture = tile()[0]
    await replica.read(picture, ReadOptions())
    await replica.read(picture, ReadOptions())
    ran = ("ran", "reader", 1)
    assert heard.events == [("loaded", "reader", 3 * MiB), ran, ran]
    with pytest.raises(OutOfMemoryError):
        await replica.read(tile(65)[0], ReadOptions())
    assert heard.events[-1] == ("failed", "reader", "forward", "out-of-memory")


class Reader:
    """Reads nothing, and has no memory for sides over 64 px."""

    @classmethod
    def load(cls, spec, weights, options):
        return cls()

    def read(self, image, options):
        if image.shape[0] > 64:
            raise MemoryError
        return []
