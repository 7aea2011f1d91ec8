"""What ingress replicas share, as one of them sees it."""

import asyncio
import time

import pytest

from inpaint.errors import UnavailableError
from inpaint.reports import ServiceState
from serve_app import shared_state
from serve_app.shared_state import SharedState


class SlowRegistry:
    """Answers when it is told to."""

    def __init__(self):
        self.default = None
        self.asked = 0
        self.hold = False
        self.gate = asyncio.Event()
        self.fails = False

    async def state(self):
        self.asked += 1
        if self.fails:
            raise ConnectionError
        known = self.default
        if self.hold:
            await self.gate.wait()
        return ServiceState({}, known)

    async def choose(self, name):
        if self.fails:
            raise ConnectionError("10.0.0.7")
        self.default = name


@pytest.fixture
def registry():
    return SlowRegistry()


@pytest.fixture
def shared(registry):
    return SharedState(registry.state, registry.choose)


async def test_the_registry_is_asked_once_for_many_requests(shared, registry):
    states = await asyncio.gather(*(shared.now() for _ in range(50)))
    await shared.now()
    assert registry.asked == 1
    assert all(state is states[0] for state in states)


async def test_an_answer_is_old_after_its_lifetime(shared, registry, monkeypatch):
    monkeypatch.setattr(shared_state, "STATE_LIFETIME_S", 0.02)
    assert (await shared.now()).default_model is None
    registry.default = "mat"
    assert (await shared.now()).default_model is None
    await asyncio.sleep(0.03)
    assert (await shared.now()).default_model == "mat"


async def test_who_changes_the_default_sees_it_at_once(shared):
    await shared.now()
    await shared.choose_default("mat")
    assert (await shared.now()).default_model == "mat"


async def test_an_answer_that_left_before_a_change_does_not_undo_it(shared, registry):
    registry.hold = True
    early = asyncio.create_task(shared.now())
    await asyncio.sleep(0.01)
    assert registry.asked == 1
    await shared.choose_default("mat")
    registry.hold = False
    assert (await shared.now()).default_model == "mat"
    registry.gate.set()
    await early
    assert (await shared.now()).default_model == "mat"


async def test_a_late_registry_keeps_one_request_waiting_and_loses_nothing(
    shared, registry, monkeypatch
):
    monkeypatch.setattr(shared_state, "PATIENCE_S", 0.02)
    await shared.choose_default("mat")
    registry.hold = True
    began = time.monotonic()
    for _ in range(100):
        assert (await shared.now()).default_model == "mat"
    assert registry.asked == 1
    assert time.monotonic() - began < 1
    registry.default = "fcf"
    registry.gate.set()
    await asyncio.sleep(0.01)
    assert (await shared.now()).default_model == "mat"  # said before the change
    shared.forget()
    assert (await shared.now()).default_model == "fcf"


async def test_a_registry_that_is_gone_is_forgotten_after_the_grace(shared, registry, monkeypatch):
    monkeypatch.setattr(shared_state, "STATE_LIFETIME_S", 0.0)
    monkeypatch.setattr(shared_state, "GRACE_S", 0.05)
    await shared.choose_default("mat")
    registry.fails = True
    assert (await shared.now()).default_model == "mat"
    await asyncio.sleep(0.06)
    assert (await shared.now()).default_model is None


async def test_a_registry_that_is_back_is_heard(shared, registry, monkeypatch):
    monkeypatch.setattr(shared_state, "STATE_LIFETIME_S", 0.0)
    registry.fails = True
    assert (await shared.now()).default_model is None
    registry.fails, registry.default = False, "mat"
    await shared.now()  # asks in passing
    await asyncio.sleep(0.01)
    assert (await shared.now()).default_model == "mat"


async def test_a_change_that_nobody_takes_is_told(shared, registry):
    registry.fails = True
    with pytest.raises(UnavailableError, match="cannot be changed at the moment"):
        await shared.choose_default("mat")
    registry.fails = False
    assert (await shared.now()).default_model is None


async def test_a_request_that_hangs_up_leaves_the_answer_to_the_others(shared, registry):
    registry.hold = True
    first, second = (asyncio.create_task(shared.now()) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    registry.gate.set()
    assert (await second).default_model is None
    assert registry.asked == 1
