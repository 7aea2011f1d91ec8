import asyncio
import threading

import pytest

from serve_app.pixel_threads import PixelThreads


@pytest.fixture
def threads():
    return PixelThreads(1)


async def test_what_runs_does_not_wait(threads):
    release = threading.Event()
    running = asyncio.create_task(threads.run(release.wait, 5))
    await asyncio.sleep(0.05)
    assert threads.waiting_s == 0
    release.set()
    assert await running


async def test_the_oldest_of_those_that_wait_counts(threads):
    release = threading.Event()
    tasks = [asyncio.create_task(threads.run(release.wait, 5))]
    await asyncio.sleep(0.02)
    tasks.append(asyncio.create_task(threads.run(sum, [1, 2])))
    await asyncio.sleep(0.1)
    tasks.append(asyncio.create_task(threads.run(sum, [3, 4])))
    await asyncio.sleep(0.01)
    assert 0.1 <= threads.waiting_s < 5
    release.set()
    assert await asyncio.gather(*tasks) == [True, 3, 7]
    assert threads.waiting_s == 0


async def test_who_is_cancelled_waits_no_longer(threads):
    release = threading.Event()
    running = asyncio.create_task(threads.run(release.wait, 5))
    await asyncio.sleep(0.02)
    waiting = asyncio.create_task(threads.run(sum, [1, 2]))
    await asyncio.sleep(0.02)
    assert threads.waiting_s > 0
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert threads.waiting_s == 0
    release.set()
    await running


async def test_an_error_reaches_the_caller(threads):
    with pytest.raises(ValueError, match="invalid literal"):
        await threads.run(int, "x")
    assert threads.waiting_s == 0
