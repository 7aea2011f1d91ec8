"""What every answer says of its time, and what is noted of every request."""

import asyncio
import json
import logging
import re
from urllib.parse import quote

import httpx
import pytest
import yaml

from inpaint.errors import ModelError, OverloadedError, ReplicaLostError
from inpaint.settings import AccessArgs, IngressConfig
from serve_app import accounts
from serve_app.access.keys import digest_of
from serve_app.api import create_api
from tests.api.test_inpaint import form
from tests.conftest import png
from tests.events import events_of
from tests.local_service import LocalService

NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
METRIC = re.compile(rf"({NAME})[ \t]*;[ \t]*dur=(\d+(?:\.\d+)?)")
"""One entry as we write it; the W3C's Server Timing allows more."""


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path, has_ocr=True, has_diffusion=True)


@pytest.fixture
def settled(monkeypatch, service):
    """The accounts of all requests, as they were at their end."""
    seen = []
    make = create_api

    def with_list(*args, **options):
        return make(*args, **options, settled=[seen.append])

    monkeypatch.setattr("tests.local_service.create_api", with_list)
    return seen


def timing_of(answer):
    """The entries of Server-Timing by name, every one of which is well formed."""
    [header] = answer.headers.get_list("server-timing")
    entries = [METRIC.fullmatch(entry) for entry in re.split(r"[ \t]*,[ \t]*", header)]
    assert all(entries), header
    names = [entry[1] for entry in entries]
    assert len(set(names)) == len(names)
    return {entry[1]: float(entry[2]) for entry in entries}


def routes_of(app):
    """Every method and path of the OpenAPI document, its parameters filled in."""
    return [
        (method.upper(), path.replace("{name}", "cv2").replace("{request_id}", "none"))
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    ]


async def test_every_route_times_its_answers_good_or_bad(service):
    routes = routes_of(create_api(service.gateway))
    assert len(routes) > 12
    bodies = [{}, {"json": {}}, {"json": {"image": "!"}}, {"files": {"image": b"none"}}]
    statuses = set()
    async with service.client() as client:
        for method, path in routes:
            for body in bodies if method == "POST" else [{}]:
                answer = await client.request(method, path, **body)
                timing = timing_of(answer)
                assert list(timing)[-1] == "total", (method, path)
                assert timing["total"] < 60_000
                statuses.add(answer.status_code)
    assert {200, 404, 422} <= statuses


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/nowhere", 404),
        ("PUT", "/inpaint", 405),
        ("GET", "/openapi.json", 200),
        ("GET", "/docs", 200),
        ("HEAD", "/docs", 200),
        ("BREW", "/inpaint", 405),
    ],
)
async def test_so_do_all_other_paths(service, method, path, status):
    async with service.client() as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    assert list(timing_of(answer)) == ["total"]


async def test_an_error_tells_the_stages_that_ran_before_it(service, photo, hole):
    service.families["Erase"].fail_with = [OverloadedError("full"), ModelError("no")]
    async with service.client() as client:
        full = await client.post("/inpaint", **form(photo, hole, model="cv2"))
        failed = await client.post("/inpaint", **form(photo, hole, model="cv2"))
        unread = await client.post("/inpaint", **form(photo, hole[:9], model="cv2"))
        unknown = await client.post("/inpaint", **form(photo, hole, model="nope"))
    before = ["receive", "admit", "decode", "plan", "models", "total"]
    assert [list(timing_of(answer)) for answer in (full, failed)] == [before, before]
    assert list(timing_of(unread)) == ["receive", "admit", "decode", "total"]
    assert list(timing_of(unknown)) == ["receive", "admit", "total"]


async def test_stages_add_up_to_no_more_than_the_total(service, photo, hole):
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
    timing = timing_of(answer)
    inside = {"queue", "forward"}  # of "models"
    assert sum(ms for name, ms in timing.items() if name not in inside) <= 2 * timing["total"]
    assert sum(timing[name] for name in inside) <= timing["models"] + 1


async def test_refusals_of_the_guard_and_of_cors_are_timed(service, tmp_path):
    path = tmp_path / "keys.yaml"
    path.write_text(yaml.safe_dump({"keys": [{"name": "one", "sha256": digest_of("isk_one")}]}))
    service.access = AccessArgs(auth="required", api_keys=path, cors_origins=("https://a.example",))
    preflight = {"origin": "https://a.example", "access-control-request-method": "POST"}
    async with service.client() as client:
        refused = await client.post("/inpaint")
        asked = await client.options("/inpaint", headers=preflight)
    assert (refused.status_code, asked.status_code) == (401, 200)
    assert list(timing_of(refused)) == list(timing_of(asked)) == ["total"]


async def test_a_stream_is_timed_until_it_opens(service, photo, hole, settled):
    sent = form(photo, hole, model="painter", sd_seed="7", sd_steps="3")
    async with service.client() as client:
        answer = await client.post("/inpaint", **sent, headers={"accept": "text/event-stream"})
    timing = timing_of(answer)
    assert {"receive", "admit", "total"} <= timing.keys()
    assert "encode" not in timing
    result = dict(events_of(answer.text))["result"]
    assert {"receive", "admit", "models", "encode"} <= result["timings_ms"].keys()
    [account] = settled
    assert account.sent == len(answer.content)
    assert account.duration_ms >= timing["total"]


async def test_a_stream_that_fails_is_noted_with_its_error(service, photo, hole, settled):
    sent = form(photo, hole, model="painter", sd_steps="3")
    service.painters.fail_with = [ModelError("no")]
    async with service.client() as client:
        answer = await client.post("/inpaint", **sent, headers={"accept": "text/event-stream"})
    [account] = settled
    assert account.error == "model-failed"
    assert account.status == answer.status_code


async def test_a_defect_is_timed_and_noted(service, photo, hole, settled):
    service.families["Erase"].fail_with = [ZeroDivisionError("secret")]
    async with service.client(headers={"x-request-id": "mine"}) as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "mine")
    assert "models" in timing_of(answer)
    assert "secret" not in answer.text
    [account] = settled
    assert (account.status, account.error) == (500, "internal")


async def test_a_defect_goes_on_to_serve_which_logs_its_traceback(service, photo, hole):
    service.families["Erase"].fail_with = [ZeroDivisionError("secret")]
    transport = httpx.ASGITransport(create_api(service.gateway), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        with pytest.raises(ZeroDivisionError):
            await client.post("/inpaint", **form(photo, hole, model="cv2"))


async def test_the_account_has_what_the_request_was(service, photo, hole, settled):
    sent = form(photo, hole, model="cv2")
    async with service.client() as client:
        request = client.build_request("POST", "/inpaint", **sent)
        answer = await client.send(request)
        await client.post("/ocr", files={"image": png(photo)})
        await client.get("/models/cv2")
        await client.get("/models/nobody/has-this")
        await client.request("BREW", "/../etc")
    painted, read, card, unknown, odd = settled
    assert (painted.method, painted.route, painted.status) == ("POST", "/inpaint", 200)
    assert (painted.family, painted.model, painted.tiles) == ("Erase", "cv2", 1)
    assert (painted.received, painted.sent) == (len(request.read()), len(answer.content))
    assert (read.family, read.model, read.route) == ("OCR", "pp-ocrv6-small", "/ocr")
    assert (card.route, card.model, card.error) == ("/models/{name:path}", "", "")
    assert (unknown.status, unknown.error) == (404, "unknown-model")
    assert (odd.method, odd.route, odd.error) == (accounts.OTHER, accounts.OTHER, "not-found")
    assert all(account.duration_ms > 0 for account in settled)


async def test_a_client_that_leaves_is_noted_as_gone(service, photo, hole, settled):
    service.wanting, service.can_grow = {"Erase": {"GPU": 1.0}}, True
    service.gateway.configure(IngressConfig(cold_wait_s=60))
    async with service.client() as client:
        request = asyncio.create_task(client.post("/inpaint", **form(photo, hole, model="cv2")))
        await asyncio.sleep(0.05)
        request.cancel()
        await asyncio.wait({request})
    [account] = settled
    assert (account.status, account.error, account.family) == (499, "disconnected", "Erase")


async def test_the_log_has_one_line_without_a_word_of_the_client(service, photo, hole, monkeypatch):
    log, lines = logging.getLogger("ray.serve"), []
    handler = logging.Handler()
    handler.emit = lines.append
    monkeypatch.setattr(log, "handlers", [handler])
    monkeypatch.setattr(log, "isEnabledFor", lambda level: level >= logging.INFO)
    words = "a secret\nINFO forged line"
    path = quote(words)
    async with service.client() as client:
        await client.post("/inpaint", **form(photo, hole, model=words, prompt=words))
        await client.get(f"/models/{path}", headers={"x-request-id": "a secret id"})
        await client.get(f"/{path}", headers={"authorization": "Bearer secret"})
    lines = [line for line in lines if hasattr(line, "http_method")]
    assert len(lines) == 3
    written = json.dumps([{**vars(line), "args": None} for line in lines], default=str)
    assert "secret" not in written
    assert [line.status for line in lines] == [404, 404, 404]


async def test_the_account_counts_what_a_lost_replica_had_once(service, photo, hole, settled):
    service.families["Erase"].fail_with = [ReplicaLostError("gone")]
    async with service.client() as client:
        assert (await client.post("/inpaint", **form(photo, hole, model="cv2"))).status_code == 200
        assert (await client.post("/inpaint", **form(photo, hole, model="cv2"))).status_code == 200
    assert [account.retries for account in settled] == [1, 0]
