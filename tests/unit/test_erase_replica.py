"""The erase replica as a plain object, with stand-in models."""

import asyncio
import threading

import numpy as np
import pytest
from pydantic import ValidationError

from deployments import devices
from deployments.erase import EraseReplica
from deployments.family import FamilySetup
from inpaint.errors import (
    ExtraMissingError,
    MaskError,
    ModelError,
    OutOfMemoryError,
    WeightsMissingError,
)
from inpaint.params import EraseParams
from inpaint.reports import ReplicaReport
from tests.fakes import Gated, fake_spec

PARAMS = EraseParams()


class Reports(list[ReplicaReport]):
    """Collects what a replica reports."""

    async def take(self, report):
        self.append(report)


def replica_of(*specs, report=None, **setup):
    setup = FamilySetup(family="Erase", specs=specs, device="cpu", **setup)
    return EraseReplica(setup, "replica-1", report or Reports().take)


def tile(height, width, seed=0):
    """A read-only picture and mask, as they arrive through a handle."""
    rng = np.random.default_rng(seed)
    image = rng.integers(1, 256, (height, width, 3), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2 + 1, width // 4 : width // 2 + 1] = 255
    image.flags.writeable = mask.flags.writeable = False
    return image, mask


async def soon(*tasks):
    """Answers or errors of `tasks`; fails instead of waiting for ever."""
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 3)


async def start(replica, first, *others):
    """A task for each call of paint: the first one's forward runs, the others wait for it."""
    tasks = [asyncio.create_task(replica.paint(*first))]
    await asyncio.to_thread(Gated.entered.wait, 3)
    tasks += [asyncio.create_task(replica.paint(*call)) for call in others]
    await asyncio.sleep(0.01)
    return tasks


@pytest.fixture
def gate(monkeypatch):
    """Models of class Gated wait for it."""
    event = threading.Event()
    monkeypatch.setattr(Gated, "gate", event)
    monkeypatch.setattr(Gated, "entered", threading.Event())
    yield event
    event.set()


@pytest.fixture
def gated(gate):
    return replica_of(fake_spec(runner="Gated", batchable=True, size={"multiple_of": 8}))


@pytest.mark.parametrize("size", [(1, 1), (17, 31), (8, 8), (64, 65)])
@pytest.mark.parametrize("rule", [{"multiple_of": 1}, {"multiple_of": 8, "minimum": 16}])
async def test_paint_answers_the_tiles_size(size, rule):
    replica = replica_of(fake_spec(size=rule))
    image, mask = tile(*size)
    painted = await replica.paint("toy", image, mask, PARAMS)
    np.testing.assert_array_equal(painted.image, 255 - image)
    assert painted.image.flags.c_contiguous
    assert painted.batch == 1
    assert painted.queue_ms >= 0
    assert painted.forward_ms >= 0


async def test_model_sees_sizes_of_its_rule():
    rule = {"multiple_of": 8, "minimum": 16, "square": True}
    replica = replica_of(fake_spec(runner="Measuring", size=rule))
    painted = await replica.paint("toy", *tile(3, 17), PARAMS)
    assert painted.image.shape == (3, 17, 3)
    assert painted.image[0, 0, :2].tolist() == [24, 24]


async def test_padding_mirrors_the_mask_too():
    replica = replica_of(fake_spec(runner="Measuring", size={"multiple_of": 20}))
    image, mask = tile(10, 20)
    painted = await replica.paint("toy", image, np.full_like(mask, 255), PARAMS)
    assert painted.image[0, 0].tolist() == [20, 20, 100]


async def test_inputs_stay_as_they_were():
    replica = replica_of(fake_spec(runner="Scribbling"))
    image, mask = tile(8, 8)
    before = image.copy(), mask.copy()
    with pytest.raises(ModelError):
        await replica.paint("toy", image, mask, PARAMS)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


async def test_sizes_that_differ_are_refused():
    replica = replica_of(fake_spec())
    with pytest.raises(MaskError, match="The mask is 9x8 px, the image 8x8 px"):
        await replica.paint("toy", tile(8, 8)[0], tile(8, 9)[1], PARAMS)


async def test_tiles_that_queued_share_a_forward(gated, gate):
    tiles = [tile(30, 40 - n % 2, seed=n) for n in range(4)]  # all of them padded to 32x40
    calls = await start(gated, *(("toy", *given, PARAMS) for given in tiles))
    gate.set()
    painted = await soon(*calls)
    assert [answer.batch for answer in painted] == [1, 3, 3, 3]
    for (image, _), answer in zip(tiles, painted, strict=True):
        np.testing.assert_array_equal(answer.image, 255 - image)


@pytest.mark.parametrize(
    ("model", "size", "params"),
    [
        ("other", (32, 40), PARAMS),
        ("toy", (32, 48), PARAMS),
        ("toy", (32, 40), EraseParams(seed=1)),
    ],
    ids=["model", "size", "params"],
)
async def test_tiles_that_differ_do_not_share_a_forward(gate, model, size, params):
    specs = [fake_spec(name, "Gated", batchable=True) for name in ("toy", "other")]
    replica = replica_of(*specs)
    calls = await start(
        replica,
        ("toy", *tile(4, 4), PARAMS),
        ("toy", *tile(32, 40), PARAMS),
        (model, *tile(*size), params),
    )
    gate.set()
    assert [answer.batch for answer in await soon(*calls)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("pixels", "batchable", "batches"),
    [(2 * 64, True, [1, 2, 2, 1]), (1, True, [1, 1, 1, 1]), (10_000, False, [1, 1, 1, 1])],
)
async def test_batches_keep_within_their_pixels(gate, pixels, batchable, batches):
    replica = replica_of(fake_spec(runner="Gated", batchable=batchable))
    replica.reconfigure({"max_batch_pixels": pixels})
    calls = await start(replica, *(("toy", *tile(8, 8, n), PARAMS) for n in range(4)))
    gate.set()
    assert [answer.batch for answer in await soon(*calls)] == batches


async def test_one_bad_tile_fails_alone(gate):
    replica = replica_of(
        fake_spec("gated", "Gated"), fake_spec("toy", "AfraidOfBlack", batchable=True)
    )
    tiles = [tile(8, 8, seed=n) for n in range(3)]
    tiles[1] = (np.zeros((8, 8, 3), np.uint8), tiles[1][1])
    calls = await start(
        replica, ("gated", *tile(4, 4), PARAMS), *(("toy", *given, PARAMS) for given in tiles)
    )
    gate.set()
    _, first, second, third = await soon(*calls)
    assert isinstance(second, ModelError)
    np.testing.assert_array_equal(first.image, 255 - tiles[0][0])
    np.testing.assert_array_equal(third.image, 255 - tiles[2][0])


async def test_cancelled_caller_frees_its_place(gated, gate):
    calls = [("toy", *tile(8, 8, n), PARAMS) for n in range(3)]
    running, waiting, kept = await start(gated, *calls)
    running.cancel()
    waiting.cancel()
    await asyncio.sleep(0)
    gate.set()
    (answer,) = await soon(kept)
    assert answer.batch == 1


async def test_model_is_kept_while_it_runs_for_a_caller_who_has_hung_up(gate):
    reports = Reports()
    replica = replica_of(fake_spec("gated", "Gated"), fake_spec("other"), report=reports.take)
    (running,) = await start(replica, ("gated", *tile(8, 8), PARAMS))
    replica.reconfigure({"max_loaded_mb": 1})
    running.cancel()
    other = asyncio.create_task(replica.paint("other", *tile(8, 8), PARAMS))
    await asyncio.sleep(0.02)
    await replica.check_health()
    assert reports[-1].loaded == ("gated",)
    gate.set()
    assert (await soon(other))[0].batch == 1


@pytest.mark.parametrize("runner", ["WrongShape", "WrongType", "FewerAnswers"])
async def test_answer_of_the_wrong_kind_is_an_error(runner):
    replica = replica_of(fake_spec(runner=runner))
    with pytest.raises(ModelError, match="array of the wrong kind"):
        await replica.paint("toy", *tile(8, 8), PARAMS)
    await replica.check_health()


async def test_foreign_error_is_ours_without_its_text():
    replica = replica_of(fake_spec(runner="Failing"), fake_spec("good"))
    with pytest.raises(ModelError) as caught:
        await replica.paint("toy", *tile(8, 8), PARAMS)
    told = f"{caught.value.detail} {caught.value.context}"
    assert not any(word in told for word in ("secret", "/srv", "10.0.0.7"))
    await replica.check_health()
    await replica.paint("good", *tile(8, 8), PARAMS)


async def test_out_of_memory_is_survived():
    replica = replica_of(fake_spec(runner="OutOfMemory"))
    with pytest.raises(OutOfMemoryError, match=r"A tile of 65x8 px"):
        await replica.paint("toy", *tile(8, 65), PARAMS)
    await replica.check_health()
    assert (await replica.paint("toy", *tile(8, 64), PARAMS)).batch == 1


async def test_lost_device_fails_the_health_check():
    replica = replica_of(fake_spec(runner="DeviceLost"))
    await replica.check_health()
    with pytest.raises(ModelError):
        await replica.paint("toy", *tile(8, 8), PARAMS)
    with pytest.raises(RuntimeError, match="device"):
        await replica.check_health()


async def test_hanging_forward_fails_the_health_check_while_it_hangs(gated, gate):
    gated.reconfigure({"hang_after_s": 0.001})
    (call,) = await start(gated, ("toy", *tile(8, 8), PARAMS))
    with pytest.raises(RuntimeError, match="has run for over"):
        await gated.check_health()
    gate.set()
    await soon(call)
    await gated.check_health()


async def test_long_forward_within_its_limit_is_healthy(gated, gate):
    (call,) = await start(gated, ("toy", *tile(8, 8), PARAMS))
    await gated.check_health()
    gate.set()
    await soon(call)


@pytest.mark.parametrize("config", [{"max_batch_pixel": 1}, {"threads": 0}, {"hang_after_s": 0}])
async def test_reconfigure_refuses_what_it_does_not_know(config):
    with pytest.raises(ValidationError):
        replica_of(fake_spec()).reconfigure(config)


async def test_reconfigure_changes_how_many_models_stay_loaded():
    reports = Reports()
    specs = [fake_spec(name, memory_mb=2) for name in ("a", "b", "c")]
    replica = replica_of(*specs, report=reports.take)
    replica.reconfigure({"max_loaded_mb": 4})
    for name in ("a", "b", "c"):
        await replica.paint(name, *tile(4, 4), PARAMS)
    await replica.check_health()
    assert reports[-1].loaded == ("b", "c")
    replica.reconfigure({"max_loaded_mb": 2})
    await replica.paint("a", *tile(4, 4), PARAMS)
    await replica.check_health()
    assert reports[-1].loaded == ("a",)


async def test_load_is_reported_with_what_it_costs():
    reports = Reports()
    replica = replica_of(fake_spec(memory_mb=3), report=reports.take)
    await replica.check_health()
    await replica.paint("toy", *tile(4, 4), PARAMS)
    told = [(report.loaded, report.held_bytes) for report in reports]
    assert told == [((), 0), (("toy",), 3 * 2**20)]
    assert {(report.replica, report.family) for report in reports} == {("replica-1", "Erase")}


async def test_model_is_loaded_once():
    reports = Reports()
    replica = replica_of(fake_spec(), report=reports.take)
    await soon(*(replica.paint("toy", *tile(4, 4, n), PARAMS) for n in range(3)))
    await replica.paint("toy", *tile(4, 4), PARAMS)
    assert len(reports) == 1


@pytest.mark.parametrize(
    ("precision", "precisions", "is_fp32"),
    [("fp16", ("fp32", "fp16"), 0), ("fp16", ("fp32",), 1), ("fp32", ("fp32", "fp16"), 1)],
)
async def test_model_is_loaded_in_a_precision_that_it_has(precision, precisions, is_fp32):
    replica = replica_of(fake_spec(runner="Optioned", precisions=precisions), precision=precision)
    painted = await replica.paint("toy", *tile(4, 4), PARAMS)
    assert painted.image[0, 0].tolist() == [1, is_fp32, 0]


async def test_missing_weights_are_told_and_looked_for_again(tmp_path):
    weights = [{"env": "TOY", "url": "https://example.org/toy.bin"}]
    replica = replica_of(fake_spec(weights=weights), model_dir=tmp_path)
    with pytest.raises(WeightsMissingError):
        await replica.paint("toy", *tile(4, 4), PARAMS)
    folder = tmp_path / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    (folder / "toy.bin").write_bytes(b"numbers")
    assert (await replica.paint("toy", *tile(4, 4), PARAMS)).batch == 1


async def test_missing_package_is_told(tmp_path):
    (tmp_path / "needs_more.py").write_text("import no_package_is_called_so\n")
    replica = replica_of(fake_spec(runner="needs_more:Toy"), model_folders=(tmp_path,))
    with pytest.raises(ExtraMissingError, match="no_package_is_called_so"):
        await replica.paint("toy", *tile(4, 4), PARAMS)


async def test_failing_load_is_ours_without_its_text():
    replica = replica_of(fake_spec(runner="Unloadable"))
    with pytest.raises(ModelError) as caught:
        await replica.paint("toy", *tile(4, 4), PARAMS)
    assert "secret" not in f"{caught.value.detail} {caught.value.context}"


async def test_load_without_memory_is_survived():
    replica = replica_of(fake_spec(runner="TooLargeToLoad"), fake_spec("small"))
    with pytest.raises(OutOfMemoryError):
        await replica.paint("toy", *tile(4, 4), PARAMS)
    await replica.check_health()
    await replica.paint("small", *tile(4, 4), PARAMS)


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (MemoryError(), "out-of-memory"),
        (type("NumpysOwn", (MemoryError,), {})("Unable to allocate 9 GiB"), "out-of-memory"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), "out-of-memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out-of-memory"),
        (RuntimeError("CUDA error: an illegal memory access"), "device-lost"),
        (RuntimeError("cuDNN_STATUS_EXECUTION_FAILED"), "device-lost"),
        (ValueError("CUDA error: only quoted"), None),
        (RuntimeError("shapes differ"), None),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_trouble_is_told_by_the_error(error, trouble):
    assert devices.trouble_of(error) == trouble


def test_device_that_is_named_stays():
    assert [devices.resolve(name) for name in ("cpu", "cuda:1", "mps")] == ["cpu", "cuda:1", "mps"]
