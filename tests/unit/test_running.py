"""Running requests: cancelled by id, or together with their caller."""

import asyncio

import pytest

from inpaint.codecs import Format
from inpaint.errors import ModelError, RequestCancelledError
from inpaint.jobs import Result, Timings
from serve_app.running import RunningRequests

RESULT = Result(b"", Format.PNG, (1, 1), "toy", 0, 0, Timings())


class Work:
    """Runs until it is let go, and knows whether it was cancelled."""

    def __init__(self):
        self.may_end = asyncio.Event()
        self.was_cancelled = False

    async def __call__(self):
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return RESULT


async def start(running, request_id):
    """(work, the task that waits for it)"""
    work = Work()
    task = asyncio.create_task(running.run(request_id, work()))
    for _ in range(3):
        await asyncio.sleep(0)
    return work, task


async def test_run_answers_what_the_work_does():
    running = RunningRequests()
    work, task = await start(running, "a")
    work.may_end.set()
    assert await task is RESULT


async def test_run_raises_what_the_work_does():
    async def fail():
        raise ModelError("failed")

    running = RunningRequests()
    with pytest.raises(ModelError):
        await running.run("a", fail())
    assert not running.cancel("a")


async def test_cancel_ends_the_work_with_an_error_of_ours():
    running = RunningRequests()
    work, task = await start(running, "a")
    assert running.cancel("a")
    with pytest.raises(RequestCancelledError):
        await task
    assert work.was_cancelled


async def test_cancel_ends_every_request_of_the_id_and_no_other():
    running = RunningRequests()
    (_, first), (_, second) = await start(running, "a"), await start(running, "a")
    work, other = await start(running, "b")
    assert running.cancel("a")
    for task in (first, second):
        with pytest.raises(RequestCancelledError):
            await task
    work.may_end.set()
    assert await other is RESULT


async def test_cancel_of_nothing_is_false():
    running = RunningRequests()
    assert not running.cancel("a")
    work, task = await start(running, "a")
    work.may_end.set()
    await task
    assert not running.cancel("a")


async def test_id_can_be_used_again_after_it_was_cancelled():
    running = RunningRequests()
    _, task = await start(running, "a")
    running.cancel("a")
    with pytest.raises(RequestCancelledError):
        await task
    work, task = await start(running, "a")
    work.may_end.set()
    assert await task is RESULT


async def test_caller_that_ends_takes_its_work_along():
    running = RunningRequests()
    work, task = await start(running, "a")
    twin, other = await start(running, "a")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.was_cancelled
    twin.may_end.set()
    assert await other is RESULT
    assert not running.cancel("a")


async def test_work_that_is_cancelled_from_within_is_no_request_of_ours_to_cancel():
    async def give_up():
        raise asyncio.CancelledError

    running = RunningRequests()
    with pytest.raises(asyncio.CancelledError):
        await running.run("a", give_up())
