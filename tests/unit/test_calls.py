"""Painting: all tiles of a request side by side, and once more when a replica dies."""

import asyncio

import numpy as np
import pytest

from inpaint.boxes import Box
from inpaint.deadlines import Deadline
from inpaint.errors import InputRefusedError, ModelError, ReplicaLostError
from inpaint.jobs import EraseOrder, Upload
from inpaint.params import EraseParams
from inpaint.plans import StrategyOptions, Tile
from inpaint.protocols import Painted
from inpaint.tiles import Cut
from serve_app.calls import Painter
from serve_app.retries import RefusedInputs, RetryOnce
from tests.fakes import fake_spec

UPLOAD = Upload(b"picture", b"mask")


class FakeFamily:
    """Answers tiles with their negative, by a script for each tile's number (its first pixel).

    A script is a list with one entry for each time that the tile is sent: an error to raise, an
    event to wait for, or None. Where it ends, tiles are answered.
    """

    def __init__(self, scripts=None):
        self.scripts = {number: list(script) for number, script in (scripts or {}).items()}
        self.calls = []
        self.cancelled = []
        self.running = 0
        self.most_at_once = 0

    async def paint(self, model, image, mask, params, deadline):
        number = int(image[0, 0, 0])
        self.calls.append(number)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await asyncio.sleep(0)
            step = self.scripts.get(number) and self.scripts[number].pop(0)
            if isinstance(step, Exception):
                raise step
            if step:
                await step.wait()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        finally:
            self.running -= 1
        return Painted(255 - image, 0.0, 0.0, 1)


def pieces_of(count):
    """Tiles whose first pixel is their number."""
    tile = Tile(Box(0, 0, 2, 2), (2, 2))
    return [
        Cut(tile, np.full((2, 2, 3), number, np.uint8), np.full((2, 2), 255, np.uint8))
        for number in range(count)
    ]


def painter_of(family, refused=None, at_once=8):
    order = EraseOrder(
        spec=fake_spec(),
        params=EraseParams(),
        options=StrategyOptions(),
        seed=0,
        deadline=Deadline.after(60),
        format=None,
        quality=95,
    )
    return Painter(family, order, RetryOnce(UPLOAD, refused or RefusedInputs(60)), at_once)


def lost(times=1):
    return [ReplicaLostError("gone") for _ in range(times)]


async def paint(painter, count):
    """The numbers that the answers stand for."""
    painted = await asyncio.wait_for(painter(pieces_of(count)), 2)
    return [255 - int(answer.image[0, 0, 0]) for answer in painted]


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_answers_come_in_the_order_of_the_tiles():
    late = asyncio.Event()
    family = FakeFamily({0: [late]})
    task = asyncio.create_task(paint(painter_of(family), 5))
    await settle()
    assert family.running == 1
    late.set()
    assert await task == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("at_once", "most"), [(1, 1), (3, 3), (20, 10)])
async def test_only_so_many_tiles_run_at_once(at_once, most):
    family = FakeFamily()
    assert await paint(painter_of(family, at_once=at_once), 10) == list(range(10))
    assert family.most_at_once == most


async def test_no_tiles_give_no_answers():
    assert await paint(painter_of(FakeFamily()), 0) == []


async def test_first_error_cancels_the_other_tiles():
    never = asyncio.Event()
    family = FakeFamily({0: [never], 1: [ModelError("failed")], 2: [never], 3: [never]})
    with pytest.raises(ModelError):
        await paint(painter_of(family, at_once=3), 4)
    assert {0, 2} <= set(family.cancelled) == set(family.calls) - {1}
    assert family.running == 0


async def test_error_is_not_tried_again():
    family = FakeFamily({0: [ModelError("failed")]})
    with pytest.raises(ModelError):
        await paint(painter_of(family), 1)
    assert family.calls == [0]


async def test_cancelled_request_cancels_its_tiles():
    family = FakeFamily({number: [asyncio.Event()] for number in range(3)})
    task = asyncio.create_task(painter_of(family)(pieces_of(3)))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(family.cancelled) == [0, 1, 2]


async def test_lost_replica_costs_only_the_tiles_without_an_answer():
    family = FakeFamily({2: lost(), 3: [asyncio.Event()]})
    assert await paint(painter_of(family), 4) == [0, 1, 2, 3]
    assert family.calls == [0, 1, 2, 3, 2, 3]
    assert family.cancelled == [3]


async def test_replica_lost_for_several_tiles_is_one_loss():
    refused = RefusedInputs(60)
    family = FakeFamily({0: lost(), 1: lost(), 2: lost()})
    assert await paint(painter_of(family, refused), 3) == [0, 1, 2]
    await refused.check(UPLOAD)


async def test_input_that_takes_down_two_replicas_is_refused():
    refused = RefusedInputs(60)
    family = FakeFamily({1: lost(times=2)})
    with pytest.raises(ReplicaLostError):
        await paint(painter_of(family, refused), 2)
    assert family.calls.count(1) == 2
    with pytest.raises(InputRefusedError):
        await refused.check(UPLOAD)
