"""What a browser's sockets are told of a request, and by which name they are known."""

import asyncio

import pytest

from inpaint.diffusion import Step
from serve_app.sockets.listeners import COOKIE, cookie_of, listener_in, new_listener
from serve_app.sockets.progress import Announcer, Progress

LISTENER = "a" * 43


class Told:
    """Takes down what is told; each telling waits for a permit where `permits` is set."""

    def __init__(self, permits=None):
        self.events = []
        self.permits = permits

    async def __call__(self, listener, event, data):
        assert listener == LISTENER
        if self.permits:
            await self.permits.acquire()
        self.events.append((event, data))


class Asked:
    """As much of a request as is looked at."""

    def __init__(self, **headers):
        self.headers = headers


async def test_steps_that_wait_are_told_by_the_last_one():
    permits = asyncio.Semaphore(0)
    told = Told(permits)
    progress = Progress(LISTENER, told)
    running = asyncio.create_task(progress.run())
    for number in (1, 2, 3):
        progress.step(Step(number, 5))
        await asyncio.sleep(0)
    permits.release()
    permits.release()
    await asyncio.sleep(0.01)
    assert told.events == [("diffusion_progress", {"step": 0}), ("diffusion_progress", {"step": 2})]
    progress.end()
    permits.release()
    await asyncio.wait_for(running, 1)
    assert told.events[2:] == [("diffusion_finish", None)]


async def test_a_step_just_before_the_end_is_told():
    told = Told()
    progress = Progress(LISTENER, told)
    running = asyncio.create_task(progress.run())
    await asyncio.sleep(0)
    progress.step(Step(1, 1))
    progress.end()
    await asyncio.wait_for(running, 1)
    assert told.events == [("diffusion_progress", {"step": 0}), ("diffusion_finish", None)]


@pytest.mark.parametrize("tell", [None, Told()])
async def test_nothing_is_told_of_a_request_without_a_listener(tell):
    announcer = Announcer(tell)
    headers = {} if tell else {"cookie": f"{COOKIE}={LISTENER}"}
    with announcer.announced(Asked(**headers)) as watch:
        watch.step(Step(1, 1))
    await asyncio.sleep(0.01)
    assert tell is None or tell.events == []


async def test_a_request_that_fails_is_finished_for_its_listener():
    told = Told()
    announcer = Announcer(told)
    with (
        pytest.raises(ZeroDivisionError),
        announcer.announced(Asked(cookie=f"a=b; {COOKIE}={LISTENER}")),
    ):
        raise ZeroDivisionError
    await asyncio.sleep(0.01)
    assert told.events == [("diffusion_finish", None)]


def test_a_listeners_name_comes_back_in_the_cookie():
    name = new_listener()
    first = cookie_of(name, is_secure=True).split("; ")[0]
    assert listener_in({"cookie": f"x=1; {first}; y=2"}) == name
    assert name != new_listener()


@pytest.mark.parametrize("value", ["", "short", "a" * 44, "a" * 42 + "/", "*" * 43])
def test_a_name_that_was_not_made_here_is_none(value):
    assert listener_in({"cookie": f"{COOKIE}={value}"}) is None
    assert listener_in({}) is None
