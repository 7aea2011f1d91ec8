"""/socket.io on real Serve: two ingress replicas run requests, one replica has the sockets."""

import asyncio

import aiohttp
import httpx
import pytest
import ray
from ray.util import list_named_actors

from tests.api.test_sockets import HANDSHAKE, TRANSPORTS, Page, page_of
from tests.iopaint_requests import inpaint_body
from tests.openai_requests import until
from tests.serve.conftest import wait_for
from tests.serve.scraping import scrape

STEPS = 4
ENOUGH = 12
"""Runs one after the other, each on a connection of its own: that Serve's router sends all of them
to one of two replicas happens once in two thousand times."""


def replicas_of(deployment):
    """The names of the deployment's actors."""
    return {
        actor["name"]
        for actor in list_named_actors(all_namespaces=True)
        if f"#{deployment}#" in actor["name"] and actor["name"].startswith("SERVE_REPLICA")
    }


def runs_by_replica():
    """How many of IOPaint's requests each ingress replica has run."""
    found = scrape().of("ray_inpaint_requests_total", route="/api/v1/inpaint", model="steps")
    return {tags["replica"]: count for tags, count in found}


@pytest.fixture
def sockets(url):
    """The address, once the sockets are there as well."""
    wait_for(lambda: httpx.get(url + HANDSHAKE, timeout=5).status_code == 200)
    return url


async def painted(page, photo, hole, **fields):
    body = inpaint_body(photo, hole, model="steps", sd_steps=STEPS, sd_mask_blur=0) | fields
    cookies = {cookie.key: cookie.value for cookie in page.session.cookie_jar}
    async with (
        aiohttp.ClientSession(cookies=cookies) as session,  # a connection of its own
        session.post(f"{page.url}/api/v1/inpaint", json=body) as answer,
    ):
        return answer.status


async def heard_of(page, photo, hole, **fields):
    """The steps that the page hears of one run."""
    page.heard.clear()
    assert await painted(page, photo, hole, **fields) == 200
    await until(lambda: page.heard and page.heard[-1] == ("finish",), 20)
    return [told["step"] for told in page.heard[:-1]]


def counts_up(steps, count):
    """Whether these are the steps of a run: one may be left out where the next is there already."""
    return steps == sorted(set(steps)) and steps[-1:] == [count - 1] and steps[0] >= 0


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_page_hears_the_steps_of_its_run_and_nobody_else_does(
    sockets, photo, hole, transport
):
    async with page_of(sockets, transport) as mine, page_of(sockets, transport) as other:
        assert mine.socket.transport() == transport
        assert counts_up(await heard_of(mine, photo, hole), STEPS)
        assert other.heard == []


async def test_every_ingress_replica_tells_the_one_that_has_the_sockets(sockets, photo, hole):
    assert len(replicas_of("Ingress")) == 2
    before = runs_by_replica()
    async with page_of(sockets) as page:
        for _ in range(ENOUGH):
            assert await heard_of(page, photo, hole, sd_steps=1) == [0]

    def counted():
        after = runs_by_replica()
        runs = [count - before.get(replica, 0) for replica, count in after.items()]
        return sum(runs) >= ENOUGH and sum(count > 0 for count in runs) == 2

    wait_for(counted, 30)


async def test_runs_of_two_pages_at_once_are_told_apart(sockets, photo, hole):
    async with page_of(sockets) as first, page_of(sockets) as second:
        long = asyncio.create_task(heard_of(first, photo, hole, sd_steps=6))
        await until(lambda: first.heard, 20)
        assert counts_up(await heard_of(second, photo, hole, sd_steps=2), 2)
        assert counts_up(await long, 6)


async def test_sockets_that_die_come_back_and_hold_no_run_up(sockets, photo, hole):
    async with page_of(sockets, "websocket") as page:
        (name,) = replicas_of("Sockets")
        ray.kill(ray.get_actor(name, namespace="serve"), no_restart=True)
        assert await painted(page, photo, hole) == 200
        await until(lambda: not page.socket.connected, 20)
        listeners = {cookie.key: cookie.value for cookie in page.session.cookie_jar}
    again = Page(sockets)
    again.session.cookie_jar.update_cookies(listeners)

    async def connects():
        try:
            await again.connect("websocket")
        except Exception:  # noqa: BLE001  not yet
            await asyncio.sleep(0.5)
        return again.socket.connected

    async with asyncio.timeout(60):
        while not await connects():
            pass
    async with asyncio.timeout(60):
        while ("finish",) not in again.heard:  # once the ingress looks for them again
            assert await painted(again, photo, hole, sd_steps=1) == 200
            await asyncio.sleep(1)
    await again.leave()


async def test_a_websocket_of_another_origin_is_refused(sockets):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(
                f"{sockets}/socket.io/?EIO=4&transport=websocket",
                headers={"origin": "https://evil.example"},
            )
