"""/socket.io and the routes whose progress it tells, in one process behind one real port."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import httpx
import pytest
import socketio
import uvicorn
import yaml

from inpaint.errors import OverloadedError
from inpaint.settings import AccessArgs, SocketArgs
from serve_app.access.keys import digest_of
from serve_app.api import create_api
from serve_app.sockets.api import create_socket_api
from serve_app.sockets.listeners import COOKIE, listener_in
from tests.iopaint_requests import inpaint_body
from tests.local_service import LocalService
from tests.openai_requests import until

KEY = "isk_studio"
HANDSHAKE = "/socket.io/?EIO=4&transport=polling"
TRANSPORTS = ["polling", "websocket"]
STEPS = [{"step": 0}, {"step": 1}, {"step": 2}]


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path, has_diffusion=True)


@asynccontextmanager
async def address_of(service, args=SocketArgs(), tell=None):  # noqa: B008  frozen
    """The base URL of both applications, divided by path as Serve's proxy does."""
    sockets, server = create_socket_api(args)
    api = create_api(service.gateway, service.iopaint, tell=tell or server.tell)

    async def both(scope, receive, send):
        app = sockets if scope["path"].startswith("/socket.io") else api
        await app(scope, receive, send)

    config = uvicorn.Config(both, port=0, log_level="error", lifespan="off", ws="websockets-sansio")
    running = uvicorn.Server(config)
    serving = asyncio.create_task(running.serve())
    await until(lambda: running.started)
    port = running.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.should_exit = running.force_exit = True
        await serving


class Page:
    """A page in a browser of its own: a socket, and requests that bring the browser's cookies."""

    def __init__(self, url):
        self.url = url
        self.heard = []
        self.said = b""
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.socket = socketio.AsyncClient(http_session=self.session, reconnection=False)
        self.socket.on("diffusion_progress", self._hear_progress)
        self.socket.on("diffusion_finish", self._hear_finish)

    def _hear_progress(self, data):
        self.heard.append(data)

    def _hear_finish(self, *data):
        self.heard.append(("finish", *data))

    async def connect(self, *transports, **options):
        await self.socket.connect(self.url, transports=transports or None, **options)

    async def inpaint(self, photo, hole, **fields):
        body = inpaint_body(photo, hole, model="painter", sd_steps=3) | fields
        async with self.session.post(f"{self.url}/api/v1/inpaint", json=body) as answer:
            self.said = await answer.read()
            return answer.status

    async def leave(self):
        """As a closed tab does: a polling client's own farewell waits for its last poll."""
        if self.socket.transport() == "websocket":
            await self.socket.disconnect()
        await self.session.close()
        await until(lambda: not self.socket.connected)

    async def finished(self):
        await until(lambda: self.heard and self.heard[-1] == ("finish",))
        return self.heard[:-1]


@asynccontextmanager
async def page_of(url, *transports):
    page = Page(url)
    try:
        await page.connect(*transports)
        yield page
    finally:
        await page.leave()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_page_hears_of_its_own_run_and_of_no_other(service, photo, hole, transport):
    async with (
        address_of(service) as url,
        page_of(url, transport) as mine,
        page_of(url, transport) as other,
    ):
        assert mine.socket.transport() == transport
        assert await mine.inpaint(photo, hole) == 200
        heard = await mine.finished()
        assert heard
        assert heard == [step for step in STEPS if step in heard]  # of those that wait, the last
        assert other.heard == []


async def test_a_client_that_may_choose_moves_to_a_websocket(service):
    async with address_of(service) as url, page_of(url) as page:
        await until(lambda: page.socket.transport() == "websocket")


async def test_slow_steps_are_all_told_from_0(service, photo, hole):
    painters = service.painters
    paint = painters.paint_steps

    async def slowly(*args):
        *before, on_step, previews, example = args

        def told(step):
            told_steps.append(step)

        told_steps = []
        answer = await paint(*before, told, previews, example)
        for step in told_steps:
            on_step(step)
            await asyncio.sleep(0.05)
        return answer

    painters.paint_steps = slowly
    async with address_of(service) as url, page_of(url) as page:
        assert await page.inpaint(photo, hole) == 200
        assert await page.finished() == STEPS


async def test_an_erase_model_ends_with_finish_alone(service, photo, hole):
    async with address_of(service) as url, page_of(url) as page:
        assert await page.inpaint(photo, hole, model="cv2") == 200
        assert await page.finished() == []


async def test_a_run_that_fails_is_finished_too(service, photo, hole):
    service.painters.fail_with = [OverloadedError("full")]
    async with address_of(service) as url, page_of(url) as page:
        assert await page.inpaint(photo, hole) == 503
        await page.finished()


async def test_two_tabs_of_one_browser_hear_the_same(service, photo, hole):
    async with address_of(service) as url, page_of(url) as first:
        second = Page(url)
        await second.session.close()
        second.session = first.session
        second.socket = socketio.AsyncClient(http_session=first.session)
        second.socket.on("diffusion_finish", second._hear_finish)
        await second.connect()
        assert await first.inpaint(photo, hole) == 200
        await second.finished()
        await second.socket.disconnect()


async def test_a_page_that_connects_again_goes_on_hearing(service, photo, hole):
    async with address_of(service) as url, page_of(url, "websocket") as page:
        await page.socket.disconnect()
        await page.connect("polling")
        assert await page.inpaint(photo, hole) == 200
        await page.finished()


async def test_the_handshake_is_iopaints_and_sets_a_cookie_for_this_site_alone(service):
    async with address_of(service) as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.get(HANDSHAKE)
        [cookie] = answer.headers.get_list("set-cookie")
        again = await client.get(HANDSHAKE)
        forged = await client.get(HANDSHAKE, headers={"cookie": f"{COOKIE}=x; a=b"})
        secure = await client.get(
            HANDSHAKE, headers={"x-forwarded-proto": "https", "cookie": "a=b"}
        )
    for part in ('"pingInterval":25000', '"pingTimeout":20000', '"upgrades":["websocket"]'):
        assert part in answer.text
    name, *attributes = cookie.split("; ")
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Strict"]
    assert listener_in({"cookie": name})
    assert "set-cookie" not in again.headers  # the browser's name stays
    assert "set-cookie" in forged.headers
    assert "Secure" in secure.headers["set-cookie"]
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("origin", "allowed", "status"),
    [
        ("https://evil.example", (), 400),
        ("https://studio.example", ("https://studio.example",), 200),
        ("https://evil.example", ("https://studio.example",), 400),
        ("https://any.example", ("*",), 200),
        (None, (), 200),
    ],
)
async def test_pages_of_other_origins_connect_where_they_may(service, origin, allowed, status):
    args = SocketArgs(access=AccessArgs(cors_origins=allowed))
    headers = {"origin": origin} if origin else {}
    async with address_of(service, args) as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.get(HANDSHAKE, headers=headers)
        own = await client.get(HANDSHAKE, headers={"origin": url.replace("http:", "https:")})
        if origin:
            async with aiohttp.ClientSession() as session:
                connect = session.ws_connect(
                    f"{url}/socket.io/?EIO=4&transport=websocket", headers=headers
                )
                if status == 200:
                    async with connect as socket:
                        assert (await socket.receive_str()).startswith("0{")
                else:
                    with pytest.raises(aiohttp.WSServerHandshakeError):
                        await connect
    assert (answer.status_code, own.status_code) == (status, 200)


async def test_no_more_connect_than_there_is_room_for(service):
    async with (
        address_of(service, SocketArgs(max_connections=2)) as url,
        page_of(url, "polling"),
        page_of(url, "websocket") as leaving,
        httpx.AsyncClient(base_url=url) as client,
    ):
        answer = await client.get(HANDSHAKE)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert answer.json()["title"] == "overloaded"
        refused = Page(url)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await refused.connect("websocket")
        await refused.session.close()
        await leaving.socket.disconnect()
        await asyncio.sleep(0.1)
        async with page_of(url, "websocket"):
            pass


async def test_a_long_packet_is_refused_and_harms_nobody(service, photo, hole):
    async with (
        address_of(service) as url,
        page_of(url, "websocket") as page,
        httpx.AsyncClient(base_url=url) as client,
    ):
        sid = (await client.get(HANDSHAKE)).text.split('"')[3]
        answer = await client.post(f"{HANDSHAKE}&sid={sid}", content="4" + "x" * 20_000)
        assert (answer.status_code, answer.json()["title"]) == (413, "body-too-large")
        strange = await client.post(f"{HANDSHAKE}&sid={sid}", content="4" + "x" * 5_000)
        assert strange.status_code in (200, 400)
        async with page.session.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket") as long:
            await long.send_str("4" + "x" * 20_000)
            assert (await long.receive_str()).startswith("0{")
            assert (await long.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
        assert await page.inpaint(photo, hole) == 200
        await page.finished()


async def test_sockets_want_a_key_where_the_routes_do(service, tmp_path):
    path = tmp_path / "keys.yaml"
    entry = {"name": "studio", "sha256": digest_of(KEY), "requests_per_minute": 1}
    path.write_text(yaml.safe_dump({"keys": [entry]}))
    args = SocketArgs(access=AccessArgs(auth="required", api_keys=path))
    async with address_of(service, args) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            refused = await client.get(HANDSHAKE)
        assert (refused.status_code, refused.json()["title"]) == (401, "unauthorized")
        for transport in TRANSPORTS:
            stranger, page = Page(url), Page(url)
            with pytest.raises(socketio.exceptions.ConnectionError):
                await stranger.connect(transport)
            await stranger.session.close()
            page.session.headers["X-API-Key"] = KEY  # of every request, as of a proxy's
            await page.connect(transport)
            await page.leave()


async def test_sockets_that_do_not_answer_hold_no_request_up(service, photo, hole):
    async def never(listener, event, data):
        await asyncio.Event().wait()

    async with address_of(service, tell=never) as url, page_of(url) as page:
        assert await asyncio.wait_for(page.inpaint(photo, hole), 5) == 200
        assert page.heard == []
