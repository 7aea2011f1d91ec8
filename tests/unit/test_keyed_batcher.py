"""The batcher: what waits together goes together, and nobody suffers for another."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.keyed_batcher import KeyedBatcher


class Device:
    """Runs batches, one after the other, and holds each until it is let go."""

    def __init__(self, is_held=True):
        self.batches = []
        self.running = 0
        self._permits = asyncio.Semaphore(0)
        self._is_held = is_held

    async def run(self, key, items):
        self.batches.append((key, list(items)))
        self.running += 1
        assert self.running == 1, "two batches at once"
        try:
            if self._is_held:
                await self._permits.acquire()
            else:
                await asyncio.sleep(0)
            if any(item == "bad" for item in items):
                raise ValueError("one of these is bad")
            return [f"{key}:{item}" for item in items]
        finally:
            self.running -= 1

    def let_go(self, count=1):
        for _ in range(count):
            self._permits.release()


@pytest.fixture
def device():
    return Device()


def batcher_of(device, limit=4):
    return KeyedBatcher(device.run, lambda key: limit)


async def start(batcher, key, *items):
    """A task for each item, all of them waiting or running when this returns."""
    tasks = [asyncio.create_task(batcher.submit(key, item)) for item in items]
    await settle()
    return tasks


async def answers_of(*tasks):
    """What the tasks answer or raise; fails instead of waiting for ever."""
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 2)


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_idle_device_runs_an_item_at_once_alone(device):
    batcher = batcher_of(device)
    (task,) = await start(batcher, "k", 1)
    assert device.batches == [("k", [1])]
    device.let_go()
    assert await answers_of(task) == ["k:1"]


async def test_items_that_queued_go_together_up_to_the_limit(device):
    batcher = batcher_of(device, limit=3)
    first = await start(batcher, "k", 0)
    rest = await start(batcher, "k", 1, 2, 3, 4)
    assert batcher.waiting == 4
    device.let_go(3)
    assert await answers_of(*first, *rest) == ["k:0", "k:1", "k:2", "k:3", "k:4"]
    assert device.batches == [("k", [0]), ("k", [1, 2, 3]), ("k", [4])]
    assert batcher.waiting == 0


@pytest.mark.parametrize("limit", [0, -1, 1])
async def test_limit_is_at_least_one(device, limit):
    batcher = batcher_of(device, limit)
    tasks = await start(batcher, "k", 1, 2)
    device.let_go(2)
    await answers_of(*tasks)
    assert device.batches == [("k", [1]), ("k", [2])]


async def test_keys_take_turns(device):
    batcher = batcher_of(device, limit=1)
    tasks = [
        *await start(batcher, "a", 1, 2, 3),
        *await start(batcher, "b", 1, 2),
        *await start(batcher, "c", 1),
    ]
    device.let_go(6)
    await answers_of(*tasks)
    assert [key for key, _ in device.batches] == ["a", "a", "b", "c", "a", "b"]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=15), st.integers(1, 4))
def test_batches_hold_one_key_in_order_within_the_limit(keys, limit):
    async def run():
        device = Device(is_held=False)
        batcher = batcher_of(device, limit)
        answers = await asyncio.gather(
            *(batcher.submit(key, index) for index, key in enumerate(keys))
        )
        assert answers == [f"{key}:{index}" for index, key in enumerate(keys)]
        return device.batches

    batches = asyncio.run(run())
    assert all(keys[item] == key for key, items in batches for item in items)
    assert all(1 <= len(items) <= limit for _, items in batches)
    for wanted in "abc":
        order = [item for key, items in batches for item in items if key == wanted]
        assert order == sorted(order)


async def test_cancelled_waiting_item_is_dropped(device):
    batcher = batcher_of(device)
    first = await start(batcher, "k", 0)
    lost, kept = await start(batcher, "k", 1, 2)
    (other,) = await start(batcher, "only-cancelled", 3)
    lost.cancel()
    other.cancel()
    await settle()
    device.let_go(2)
    assert await answers_of(*first, kept) == ["k:0", "k:2"]
    assert device.batches == [("k", [0]), ("k", [2])]


async def test_cancelled_running_item_does_not_disturb_others(device):
    batcher = batcher_of(device)
    await start(batcher, "k", 0)
    lost, kept = await start(batcher, "k", 1, 2)
    device.let_go()
    await settle()
    assert device.batches[-1] == ("k", [1, 2])
    lost.cancel()
    await settle()
    (later,) = await start(batcher, "k", 3)
    device.let_go(2)
    assert await answers_of(kept, later) == ["k:2", "k:3"]
    assert lost.cancelled()


async def test_error_in_a_batch_fails_the_bad_item_only(device):
    batcher = batcher_of(device)
    first = await start(batcher, "k", 0)
    tasks = await start(batcher, "k", 1, "bad", 2)
    device.let_go(5)
    answers = await answers_of(*first, *tasks)
    assert [answers[0], answers[1], answers[3]] == ["k:0", "k:1", "k:2"]
    assert isinstance(answers[2], ValueError)
    assert device.batches[2:] == [("k", [1]), ("k", ["bad"]), ("k", [2])]


async def test_error_of_a_lone_item_is_not_tried_again(device):
    (task,) = await start(batcher_of(device), "k", "bad")
    device.let_go()
    (error,) = await answers_of(task)
    assert isinstance(error, ValueError)
    assert len(device.batches) == 1


async def test_item_cancelled_while_its_batch_failed_is_not_run_again(device):
    batcher = batcher_of(device)
    await start(batcher, "k", 0)
    lost, bad, kept = await start(batcher, "k", 1, "bad", 2)
    device.let_go()
    await settle()
    lost.cancel()
    device.let_go(3)
    error, answer = await answers_of(bad, kept)
    assert isinstance(error, ValueError)
    assert answer == "k:2"
    assert device.batches[2:] == [("k", ["bad"]), ("k", [2])]


async def test_answers_of_a_wrong_number_fail_their_callers():
    async def run(key, items):
        return []

    batcher = KeyedBatcher(run, lambda key: 4)
    answers = await asyncio.wait_for(
        asyncio.gather(batcher.submit("k", 1), batcher.submit("k", 2), return_exceptions=True),
        1,
    )
    assert all(isinstance(answer, ValueError) for answer in answers)


async def test_works_again_after_being_idle(device):
    batcher = batcher_of(device)
    for item, again in pairwise(range(4)):
        (task,) = await start(batcher, "k", item)
        device.let_go()
        assert await answers_of(task) == [f"k:{item}"]
        await settle()
        assert batcher.waiting == 0
        assert len(device.batches) == again


async def test_works_again_after_an_error(device):
    batcher = batcher_of(device)
    (bad,) = await start(batcher, "k", "bad")
    (good,) = await start(batcher, "j", 1)
    device.let_go(2)
    error, answer = await answers_of(bad, good)
    assert isinstance(error, ValueError)
    assert answer == "j:1"


@pytest.mark.parametrize("items", [1, 2])
async def test_limit_that_raises_fails_the_items_of_its_key_only(device, items):
    def limit(key):
        if key == "odd":
            raise KeyError(key)
        return 4

    batcher = KeyedBatcher(device.run, limit)
    odd = await start(batcher, "odd", *range(items))
    (even,) = await start(batcher, "even", 1)
    device.let_go()
    *errors, answer = await answers_of(*odd, even)
    assert [type(error) for error in errors] == [KeyError] * items
    assert answer == "even:1"
    assert batcher.waiting == 0


async def test_listener_hears_how_many_wait(device):
    heard = []
    batcher = KeyedBatcher(device.run, lambda key: 4, heard.append)
    tasks = [*await start(batcher, "k", 0), *await start(batcher, "k", 1, 2)]
    assert heard == [1, 0, 1, 2]
    device.let_go(2)
    await answers_of(*tasks)
    assert heard == [1, 0, 1, 2, 0]
