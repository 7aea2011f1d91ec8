"""The client that awaits, against a real service over HTTP."""

import asyncio
import inspect
from contextlib import aclosing

import numpy as np
import pytest

from inpaint_client import (
    AsyncClient,
    CancelledError,
    Client,
    Finished,
    NoAnswerError,
    Started,
    Step,
    UnknownModelError,
)
from tests.conftest import pixels, png
from tests.unit.test_text_rules import line


@pytest.fixture
async def client(live):
    async with AsyncClient(live.url) as client:
        yield client


async def test_many_pictures_at_once(client, photo, hole, tmp_path):
    pictures = [np.roll(photo, shift, axis=1) for shift in range(6)]
    mask = tmp_path / "mask.png"
    mask.write_bytes(png(hole))
    calls = [client.inpaint(png(picture), mask, model="cv2") for picture in pictures]
    for picture, done in zip(pictures, await asyncio.gather(*calls), strict=True):
        np.testing.assert_array_equal(pixels(done.data)[hole == 0], picture[hole == 0])


async def test_a_stream_tells_of_every_step(client, files):
    events = [
        event async for event in client.inpaint_stream(*files, model="painter", sd_steps=2, seed=3)
    ]
    assert [type(event) for event in events] == [Started, Step, Step, Finished]
    assert events[-1].result.seed == 3


async def test_closing_a_stream_ends_the_run_on_the_server(client, service, files):
    service.painters.gate = asyncio.Event()
    async with aclosing(client.inpaint_stream(*files, model="painter")) as events:
        async for event in events:
            if isinstance(event, Step):
                break
    await until(lambda: service.painters.cancelled == 1)


async def test_a_cancelled_task_hangs_up(files):
    """What Serve takes as the order to cancel the request; see tests/serve/test_diffusion.py."""
    asked, hung_up = asyncio.Event(), asyncio.Event()

    async def never_answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read(-1)
        hung_up.set()
        writer.close()

    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncClient(f"http://127.0.0.1:{port}") as client:
            task = asyncio.create_task(client.inpaint(*files, model="painter"))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(hung_up.wait(), 5)


async def test_cancel_by_id(client, service, files):
    service.painters.gate = asyncio.Event()
    task = asyncio.create_task(client.inpaint(*files, model="painter", request_id="mine"))
    await until(lambda: service.painters.seen)
    assert await client.cancel("mine")
    with pytest.raises(CancelledError):
        await task
    assert not await client.cancel("mine")


async def test_text_and_models(client, service, photo):
    service.reader.answers = [[line()], [line()]]
    assert [region.text for region in (await client.find_text(png(photo))).regions] == ["Total: 12"]
    done = await client.remove_text(png(photo), model="cv2", dry_run=True)
    assert (done.found, done.data) == (1, None)
    assert (await client.model("cv2")).kind == "erase"
    assert "cv2" in [card.name for card in (await client.models()).models]


async def test_problems_become_exceptions(client, files):
    with pytest.raises(UnknownModelError):
        await client.inpaint(*files, model="nope")
    with pytest.raises(UnknownModelError):
        async for _ in client.inpaint_stream(*files, model="nope"):
            pass


async def test_nobody_there():
    async with AsyncClient("http://127.0.0.1:9", timeout_s=0.3) as client:
        with pytest.raises(NoAnswerError):
            await client.models()


def test_both_clients_take_the_same():
    names = [name for name in vars(Client) if not name.startswith("_")]
    assert len(names) > 7
    for name in names:
        ours, theirs = (inspect.signature(getattr(one, name)) for one in (Client, AsyncClient))
        assert ours.parameters == theirs.parameters, name


async def until(condition, limit_s=5):
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  another thread's state
            await asyncio.sleep(0.01)
