"""The OCR replica as a plain object, with stand-in readers."""

import asyncio
import threading
import time

import numpy as np
import pytest
from pydantic import ValidationError

from deployments.family import FamilySetup
from deployments.ocr import OcrReplica
from inpaint.errors import ExtraMissingError, ModelError, OutOfMemoryError
from inpaint.reports import ReplicaReport
from inpaint.specs import ModelSpec
from inpaint.texts import ReadOptions, TextRegion

HERE = "tests.unit.test_ocr_replica"
OPTIONS = ReadOptions()


class Reader:
    """Finds one line: its text says what options the call and the load had."""

    loads = 0

    def __init__(self, options):
        self.options = options

    @classmethod
    def load(cls, spec, weights, options):
        Reader.loads += 1
        return cls(options)

    def read(self, image, options):
        height, width = image.shape[:2]
        quad = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        text = f"{options.min_score} {self.options.threads} {self.options.device}"
        return [TextRegion(quad, text, 0.9, 0.8)]


class Gated(Reader):
    gate = threading.Event()
    entered = threading.Event()
    running = 0

    def read(self, image, options):
        Gated.running += 1
        assert Gated.running == 1  # one picture at a time
        self.entered.set()
        self.gate.wait(5)
        Gated.running -= 1
        return super().read(image, options)


class Failing(Reader):
    def read(self, image, options):
        raise ValueError("secret of /srv/private")


class Starved(Reader):
    def read(self, image, options):
        if image.shape[0] > 64:
            raise MemoryError("cannot allocate 9 GB")
        return []


class Lost(Reader):
    def read(self, image, options):
        raise RuntimeError("CUDA error: device-side assert triggered")


class Unloadable(Reader):
    @classmethod
    def load(cls, spec, weights, options):
        raise OSError("secret of /srv/private")


class Reports(list[ReplicaReport]):
    async def take(self, report):
        self.append(report)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(Reader, "loads", 0)
    monkeypatch.setattr(Gated, "gate", threading.Event())
    monkeypatch.setattr(Gated, "entered", threading.Event())
    monkeypatch.setattr(Gated, "running", 0)
    yield
    Gated.gate.set()


def spec_of(runner, **fields):
    facts = {"family": "OCR", "kind": "ocr", "licence": {"name": "none"}, "memory_mb": 3}
    return ModelSpec(name="reader", runner=f"{HERE}:{runner}", **facts, **fields)


def replica_of(runner="Reader", report=None, **fields):
    setup = FamilySetup(family="OCR", specs=(spec_of(runner, **fields),), device="cpu")
    return OcrReplica(setup, "replica-1", report or Reports().take)


def picture(height=20, width=30):
    image = np.zeros((height, width, 3), np.uint8)
    image.flags.writeable = False
    return image


async def test_read_answers_regions_and_times():
    result = await replica_of().read(picture(), OPTIONS)
    assert result.regions[0].polygon[2].tolist() == [30, 20]
    assert result.queue_ms >= 0
    assert result.read_ms >= 0


async def test_the_reader_is_loaded_once_and_at_the_first_picture():
    replica = replica_of()
    await replica.check_health()
    assert Reader.loads == 0
    await asyncio.gather(*(replica.read(picture(), OPTIONS) for _ in range(3)))
    assert Reader.loads == 1


async def test_preload_loads_at_the_start():
    replica = replica_of()
    await replica.reconfigure({"preload": True})
    for _ in range(100):
        if Reader.loads:
            break
        await asyncio.sleep(0.01)
    await replica.read(picture(), OPTIONS)
    assert Reader.loads == 1


async def test_failed_preload_leaves_the_replica_usable(caplog):
    replica = replica_of("Unloadable")
    await replica.reconfigure({"preload": True})
    with pytest.raises(ModelError, match="could not be loaded"):
        await replica.read(picture(), OPTIONS)
    await replica.check_health()


async def test_options_reach_the_reader_each_time():
    replica = replica_of()
    asked = [replica.read(picture(), ReadOptions(min_score=n / 10)) for n in range(5)]
    answers = await asyncio.gather(*asked)
    told = [answer.regions[0].text.split()[0] for answer in answers]
    assert told == ["0.0", "0.1", "0.2", "0.3", "0.4"]


async def test_pictures_are_read_one_at_a_time_and_the_loop_stays_free():
    replica = replica_of("Gated")
    tasks = [asyncio.create_task(replica.read(picture(), OPTIONS)) for _ in range(3)]
    await asyncio.to_thread(Gated.entered.wait, 3)
    await replica.check_health()
    Gated.gate.set()
    answers = await asyncio.wait_for(asyncio.gather(*tasks), 3)
    assert len(answers) == 3


async def test_queue_time_holds_the_load_and_the_wait():
    replica = replica_of("Gated")
    tasks = [asyncio.create_task(replica.read(picture(), OPTIONS)) for _ in range(2)]
    await asyncio.to_thread(Gated.entered.wait, 3)
    await asyncio.sleep(0.05)
    Gated.gate.set()
    answers = await asyncio.wait_for(asyncio.gather(*tasks), 3)
    second, first = sorted(answers, key=lambda answer: answer.read_ms)
    assert first.read_ms >= 45
    assert second.queue_ms >= 45
    assert second.read_ms < 45


async def test_callers_that_hang_up_leave_the_queue():
    replica = replica_of("Gated")
    tasks = [asyncio.create_task(replica.read(picture(), OPTIONS)) for _ in range(3)]
    await asyncio.to_thread(Gated.entered.wait, 3)
    await asyncio.sleep(0.01)
    tasks[1].cancel()
    Gated.gate.set()
    first, gone, last = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(gone, asyncio.CancelledError)
    assert first.regions
    assert last.regions


async def test_changed_threads_load_the_reader_again():
    replica = replica_of()
    await replica.reconfigure({"threads": 1})
    first = await replica.read(picture(), OPTIONS)
    await replica.reconfigure({"threads": 1, "hang_after_s": 5})
    await replica.read(picture(), OPTIONS)
    assert Reader.loads == 1
    await replica.reconfigure({"threads": 2})
    second = await replica.read(picture(), OPTIONS)
    assert [result.regions[0].text for result in (first, second)] == ["0.0 1 cpu", "0.0 2 cpu"]
    assert Reader.loads == 2


@pytest.mark.parametrize("config", [{"thread": 1}, {"threads": 0}, {"engine": "openvino"}])
async def test_reconfigure_refuses_what_it_does_not_know(config):
    with pytest.raises(ValidationError):
        await replica_of().reconfigure(config)


async def test_hanging_reading_fails_the_health_check_while_it_hangs():
    replica = replica_of("Gated")
    await replica.reconfigure({"hang_after_s": 0.001})
    task = asyncio.create_task(replica.read(picture(), OPTIONS))
    await asyncio.to_thread(Gated.entered.wait, 3)
    time.sleep(0.005)  # noqa: ASYNC251  the clock is what is tested
    with pytest.raises(RuntimeError, match="has run for over"):
        await replica.check_health()
    Gated.gate.set()
    await asyncio.wait_for(task, 3)
    await replica.check_health()


@pytest.mark.parametrize(
    ("runner", "told"), [("Failing", "failed on this picture"), ("Unloadable", "not be loaded")]
)
async def test_foreign_error_is_ours_without_its_text(runner, told):
    replica = replica_of(runner)
    with pytest.raises(ModelError, match=told) as caught:
        await replica.read(picture(), OPTIONS)
    assert "secret" not in f"{caught.value.detail} {caught.value.context}"
    await replica.check_health()


async def test_out_of_memory_is_survived():
    replica = replica_of("Starved")
    with pytest.raises(OutOfMemoryError, match="a picture of 30x65 px"):
        await replica.read(picture(65, 30), OPTIONS)
    await replica.check_health()
    assert (await replica.read(picture(64, 30), OPTIONS)).regions == []


async def test_lost_device_fails_the_health_check():
    replica = replica_of("Lost")
    with pytest.raises(ModelError):
        await replica.read(picture(), OPTIONS)
    with pytest.raises(RuntimeError, match="device"):
        await replica.check_health()


async def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr("deployments.weights.store.is_extra_installed", lambda extra: False)
    replica = replica_of(extra="ocr")
    with pytest.raises(ExtraMissingError, match=r"inpaint-serve\[ocr\]"):
        await replica.read(picture(), OPTIONS)
    assert Reader.loads == 0


async def test_what_it_holds_is_reported():
    reports = Reports()
    replica = replica_of(report=reports.take)
    await replica.check_health()
    await replica.read(picture(), OPTIONS)
    await replica.check_health()
    assert [(report.loaded, report.held_bytes) for report in reports] == [
        ((), 0),
        (("reader",), 3 * 2**20),
    ]


def test_a_family_serves_one_reader():
    setup = FamilySetup(family="OCR", specs=(), device="cpu")
    with pytest.raises(ValueError, match="exactly one model"):
        OcrReplica(setup, "replica-1", Reports().take)
