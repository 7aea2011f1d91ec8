"""The model cache: a byte budget, leases, and callers who wait for room."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from deployments.model_cache import ModelCache


class Loader:
    """Loads names as strings, each as large as its name says ("a3" costs 3), when let go."""

    def __init__(self, budget, patience_s=60.0, load_s=None):
        self.loads = []
        self.evictions = 0
        self.evicted = []
        self.failing = set()
        self._gates = {}
        self._load_s = load_s
        self.cache = ModelCache(self._load, self._cost, budget, self._evicted, patience_s)

    def hold(self, name):
        """Loads of `name` wait until the event that this returns is set."""
        self._gates[name] = asyncio.Event()
        return self._gates[name]

    async def _load(self, name):
        self.loads.append(name)
        if self._load_s is not None:
            await asyncio.sleep(self._load_s)
        if name in self._gates:
            await self._gates[name].wait()
        if name in self.failing:
            raise OSError(f"{name} cannot be read")
        return f"model {name}"

    def _cost(self, name):
        return int(name[1:])

    def _evicted(self, names):
        self.evictions += 1
        self.evicted += names


class Caller:
    """A task that leases a model, and holds it until it is let go."""

    def __init__(self, cache, name):
        self.has_model = asyncio.Event()
        self._done = asyncio.Event()
        self.task = asyncio.create_task(self._use(cache, name))

    async def _use(self, cache, name):
        async with cache.lease(name) as model:
            self.has_model.set()
            await self._done.wait()
            return model

    def let_go(self):
        self._done.set()

    async def end(self):
        self.let_go()
        return await soon(self.task)


async def soon(awaitable):
    """Fails instead of waiting for ever."""
    return await asyncio.wait_for(awaitable, 1)


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def call(cache, name):
    caller = Caller(cache, name)
    await settle()
    return caller


async def use(cache, *names):
    """Lease each of `names` for a moment, one after the other."""
    for name in names:
        async with asyncio.timeout(1), cache.lease(name):
            pass


async def test_two_callers_share_one_load():
    loader = Loader(budget=10)
    gate = loader.hold("a3")
    callers = [await call(loader.cache, "a3"), await call(loader.cache, "a3")]
    assert loader.cache.loaded == ()
    assert loader.cache.held_bytes == 3
    gate.set()
    assert [await caller.end() for caller in callers] == ["model a3"] * 2
    assert loader.loads == ["a3"]
    assert loader.cache.loaded == ("a3",)


async def test_loads_of_two_models_run_side_by_side():
    loader = Loader(budget=10)
    loader.hold("a3")
    await call(loader.cache, "a3")
    await use(loader.cache, "b3")
    assert loader.cache.loaded == ("b3",)


async def test_model_stays_loaded_after_its_lease():
    loader = Loader(budget=10)
    await use(loader.cache, "a3", "a3", "b3", "a3")
    assert loader.loads == ["a3", "b3"]
    assert loader.evictions == 0


async def test_budget_is_kept_by_evicting_the_least_recently_used():
    loader = Loader(budget=10)
    await use(loader.cache, "a4", "b4", "a4", "c4")
    assert set(loader.cache.loaded) == {"a4", "c4"}
    assert loader.cache.held_bytes == 8
    assert loader.evicted == ["b4"]


async def test_no_more_is_evicted_than_needed():
    loader = Loader(budget=10)
    await use(loader.cache, "a2", "b5", "c3", "d2")
    assert loader.cache.loaded == ("b5", "c3", "d2")


async def test_leased_model_is_never_evicted():
    loader = Loader(budget=10)
    user = await call(loader.cache, "a6")
    waiting = await call(loader.cache, "b6")
    assert not waiting.has_model.is_set()
    assert loader.cache.loaded == ("a6",)
    await user.end()
    assert await waiting.end() == "model b6"
    assert loader.cache.loaded == ("b6",)


async def test_waiting_evicts_nothing_that_does_not_make_enough_room():
    loader = Loader(budget=10)
    user = await call(loader.cache, "a6")
    await use(loader.cache, "b2")
    waiting = await call(loader.cache, "c9")
    assert set(loader.cache.loaded) == {"a6", "b2"}
    await user.end()
    await waiting.end()


async def test_model_larger_than_the_budget_is_loaded_alone():
    loader = Loader(budget=10)
    await use(loader.cache, "a3", "b50")
    assert loader.cache.loaded == ("b50",)
    await use(loader.cache, "a3")
    assert loader.cache.loaded == ("a3",)


async def test_model_larger_than_the_budget_waits_for_all_others():
    loader = Loader(budget=10)
    users = [await call(loader.cache, "a3"), await call(loader.cache, "c3")]
    big = await call(loader.cache, "b50")
    assert loader.loads == ["a3", "c3"]
    for user in users:
        await user.end()
    await big.end()
    assert loader.cache.loaded == ("b50",)


async def test_failed_load_reaches_all_that_wait_and_is_tried_again():
    loader = Loader(budget=10)
    gate = loader.hold("a3")
    loader.failing.add("a3")
    callers = [await call(loader.cache, "a3"), await call(loader.cache, "a3")]
    gate.set()
    for caller in callers:
        with pytest.raises(OSError, match="a3 cannot be read"):
            await soon(caller.task)
    assert loader.cache.held_bytes == 0
    loader.failing.clear()
    await use(loader.cache, "a3")
    assert loader.loads == ["a3", "a3"]


async def test_failed_load_gives_its_room_back():
    loader = Loader(budget=10)
    gate = loader.hold("a6")
    loader.failing.add("a6")
    failing = await call(loader.cache, "a6")
    waiting = await call(loader.cache, "b6")
    gate.set()
    assert await waiting.end() == "model b6"
    assert isinstance(failing.task.exception(), OSError)


async def test_cancelled_caller_leaves_the_load_running():
    loader = Loader(budget=10)
    gate = loader.hold("a3")
    given_up = await call(loader.cache, "a3")
    given_up.task.cancel()
    await settle()
    patient = await call(loader.cache, "a3")
    gate.set()
    assert await patient.end() == "model a3"
    assert loader.loads == ["a3"]


@pytest.mark.parametrize("fails", [False, True])
async def test_load_that_nobody_waits_for_any_more_makes_room_when_it_ends(fails):
    loader = Loader(budget=10)
    gate = loader.hold("a6")
    if fails:
        loader.failing.add("a6")
    given_up = await call(loader.cache, "a6")
    given_up.task.cancel()
    waiting = await call(loader.cache, "b6")
    assert not waiting.has_model.is_set()
    gate.set()
    assert await waiting.end() == "model b6"


async def test_cancelled_first_in_line_lets_the_next_one_in():
    loader = Loader(budget=10, patience_s=0)
    user = await call(loader.cache, "a6")
    first, second = await call(loader.cache, "b6"), await call(loader.cache, "c3")
    assert not second.has_model.is_set()
    first.task.cancel()
    assert await second.end() == "model c3"
    await user.end()


async def test_pinned_model_outlives_its_lease():
    loader = Loader(budget=10)
    async with AsyncExitStack() as pins:
        async with loader.cache.lease("a6"):
            await pins.enter_async_context(loader.cache.pinned("a6"))
        waiting = await call(loader.cache, "b6")
        assert loader.cache.loaded == ("a6",)
    assert await waiting.end() == "model b6"


async def test_evict_idle_drops_what_nobody_uses():
    loader = Loader(budget=10)
    await use(loader.cache, "b2", "c2")
    user = await call(loader.cache, "a3")
    loader.hold("d2")
    loading = await call(loader.cache, "d2")
    await loader.cache.evict_idle()
    assert loader.cache.loaded == ("a3",)
    assert loader.cache.held_bytes == 5
    assert loader.evictions == 1
    loading.task.cancel()
    await user.end()


async def test_all_waiting_callers_are_served_when_leases_end():
    loader = Loader(budget=10)
    user = await call(loader.cache, "a10")
    waiting = [await call(loader.cache, name) for name in ("b5", "c5", "b5", "d5", "c5")]
    await user.end()
    answers = [await caller.end() for caller in waiting]
    assert answers == [f"model {name}" for name in ("b5", "c5", "b5", "d5", "c5")]


async def test_budget_can_grow_while_callers_wait():
    loader = Loader(budget=10)
    users = [await call(loader.cache, "a6"), await call(loader.cache, "a6")]
    waiting = await call(loader.cache, "b6")
    loader.cache.budget = 12
    await users[0].end()
    assert await waiting.end() == "model b6"
    assert set(loader.cache.loaded) == {"a6", "b6"}
    await users[1].end()


async def test_budget_that_shrank_counts_from_the_next_load():
    loader = Loader(budget=10)
    await use(loader.cache, "a3", "b3", "c3")
    loader.cache.budget = 4
    assert loader.cache.held_bytes == 9
    await use(loader.cache, "c3")
    assert loader.cache.held_bytes == 9
    await use(loader.cache, "d3")
    assert loader.cache.loaded == ("d3",)


async def traffic(loader, seconds, users):
    """`users` callers in a row for each of two models, all the time; how often each was served."""
    served = {"a6": 0, "b6": 0}
    ends = asyncio.get_running_loop().time() + seconds

    async def keep_calling(name):
        while asyncio.get_running_loop().time() < ends:
            async with loader.cache.lease(name):
                await asyncio.sleep(0.001)
            served[name] += 1

    await soon(asyncio.gather(*(keep_calling(name) for name in served for _ in range(users))))
    return served


@pytest.mark.parametrize("load_s", [0.0, 0.03])
async def test_alternating_models_take_turns_of_the_patience(load_s):
    """Only one fits. A load may take longer than the patience, and must not be thrown away after
    one call.
    """
    loader = Loader(budget=10, patience_s=0.02, load_s=load_s)
    served = await traffic(loader, seconds=0.3, users=3)
    assert min(served.values()) > 5, "one of them starved"
    assert 3 <= len(loader.loads) <= 0.3 / (0.02 + load_s) + 3


async def test_callers_of_a_loaded_model_pass_the_first_in_line_until_its_patience_ends():
    loader = Loader(budget=10, patience_s=0.02)
    user = await call(loader.cache, "a6")
    first = await call(loader.cache, "b6")
    passing = await call(loader.cache, "a6")
    assert passing.has_model.is_set()
    await asyncio.sleep(0.03)
    late = await call(loader.cache, "a6")
    assert not late.has_model.is_set()
    await passing.end()
    await user.end()
    assert await first.end() == "model b6"
    assert await late.end() == "model a6"
    assert loader.loads == ["a6", "b6", "a6"]


async def test_loads_that_pass_the_first_in_line_do_not_lengthen_its_patience():
    loader = Loader(budget=10, patience_s=0.12)
    user = await call(loader.cache, "a5")
    first = await call(loader.cache, "d10")
    await use(loader.cache, "b5")
    await asyncio.sleep(0.08)
    await use(loader.cache, "c5")
    await asyncio.sleep(0.08)
    late = await call(loader.cache, "b5")
    assert not late.has_model.is_set()
    await user.end()
    assert await first.end() == "model d10"
    assert await late.end() == "model b5"


@pytest.mark.parametrize("ticks", range(4))
async def test_lease_that_ends_by_two_cancellations_still_wakes_who_waits(ticks):
    """The first cancellation meets callers who are just being woken; the second comes at once."""
    loader = Loader(budget=10, patience_s=0)
    users = [await call(loader.cache, "a5"), await call(loader.cache, "b5")]
    waiting = [await call(loader.cache, name) for name in ("c10", "d10", "e10")]
    users[0].let_go()
    for _ in range(ticks):
        await asyncio.sleep(0)
    users[1].task.cancel()
    await asyncio.sleep(0)
    users[1].task.cancel()
    for caller in waiting:
        await caller.end()
    assert loader.loads == ["a5", "b5", "c10", "d10", "e10"]


async def test_caller_cancelled_twice_while_it_waits_lets_the_next_one_in():
    loader = Loader(budget=10, patience_s=0)
    user = await call(loader.cache, "a6")
    first, second = await call(loader.cache, "b6"), await call(loader.cache, "c3")
    first.task.cancel()
    first.task.cancel()
    assert await second.end() == "model c3"
    await user.end()
