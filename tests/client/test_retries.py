"""When a request is sent again, what is sent then, and how long is waited."""

import asyncio
import email.utils
import time

import httpx
import pytest

from inpaint_client import (
    NO_RETRIES,
    AsyncClient,
    Client,
    NoAnswerError,
    RateLimitedError,
    RetryPolicy,
    UnavailableError,
)
from inpaint_client.errors import Problem, error_of
from inpaint_client.retries import Attempts
from inpaint_client.retry_after import seconds_of

GOOD = {"content-type": "image/png", "x-model": "cv2", "x-seed": "1"}


def problem(status, code, retry_after=None):
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    document = {"type": f"/problems/{code}", "title": code, "status": status, "detail": "busy"}
    headers["content-type"] = "application/problem+json"
    return httpx.Response(status, json=document, headers=headers)


def good():
    return httpx.Response(200, content=b"picture", headers=GOOD)


class Script:
    """Answers one after the other; exceptions are raised. Notes requests and pauses."""

    def __init__(self, monkeypatch, *answers):
        self.answers = list(answers)
        self.bodies, self.headers, self.pauses = [], [], []
        monkeypatch.setattr(time, "sleep", self.pauses.append)

        async def rest(seconds):
            self.pauses.append(seconds)

        monkeypatch.setattr(asyncio, "sleep", rest)

    def __call__(self, request):
        self.bodies.append(request.read().split(b"\r\n\r\n", 1)[-1])
        self.headers.append(request.headers)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def async_call(self, request):
        await request.aread()
        return self(request)

    def client(self, **options):
        http = httpx.Client(transport=httpx.MockTransport(self))
        return Client("http://x/prefix/", http=http, **options)

    def async_client(self, **options):
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.async_call))
        return AsyncClient("http://x/prefix/", http=http, **options)


@pytest.mark.parametrize(
    "refusal",
    [
        problem(503, "overloaded", 3),
        problem(429, "rate-limited", 3),
        problem(502, "ingress-lost", 3),
        httpx.Response(503, headers={"retry-after": "3"}),
    ],
)
def test_a_refusal_is_waited_out_as_long_as_it_asks(monkeypatch, refusal):
    script = Script(monkeypatch, refusal, refusal, good())
    assert script.client().inpaint(b"image", b"mask", request_id="mine").data == b"picture"
    assert len(script.pauses) == 2
    assert all(3 <= pause <= 3 + 1 for pause in script.pauses)
    assert [headers["x-request-id"] for headers in script.headers] == ["mine"] * 3


async def test_the_client_that_awaits_does_the_same(monkeypatch):
    script = Script(monkeypatch, problem(503, "overloaded", 3), good())
    done = await script.async_client().inpaint(b"image", b"mask")
    assert done.data == b"picture"
    assert 3 <= script.pauses[0] <= 4


def test_every_attempt_sends_the_same_files(monkeypatch, tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(b"the photo")
    script = Script(monkeypatch, problem(503, "overloaded", 1), httpx.ReadError("reset"), good())
    with path.open("rb") as image:
        script.client().inpaint(image, b"the mask", model="cv2")
    assert len(script.bodies) == 3
    for body in script.bodies:
        assert b"the photo" in body
        assert b"the mask" in body


@pytest.mark.parametrize("lost", [httpx.ConnectError("refused"), httpx.RemoteProtocolError("cut")])
def test_a_broken_connection_is_tried_again_with_growing_pauses(monkeypatch, lost):
    script = Script(monkeypatch, lost, lost, lost, good())
    script.client().inpaint(b"1", b"2")
    for pause, most in zip(script.pauses, (0.5, 1, 2), strict=True):
        assert most / 2 <= pause <= most


@pytest.mark.parametrize(
    "refusal",
    [
        problem(503, "weights-missing"),
        problem(422, "bad-params"),
        problem(500, "internal"),
        problem(504, "deadline"),
        httpx.Response(504),
    ],
)
def test_what_waiting_does_not_mend_is_told_at_once(monkeypatch, refusal):
    script = Script(monkeypatch, refusal)
    with pytest.raises(Exception, match=str(refusal.status_code)):
        script.client().inpaint(b"1", b"2")
    assert script.pauses == []


def test_the_last_refusal_is_raised_when_the_attempts_are_used_up(monkeypatch):
    script = Script(monkeypatch, *[problem(429, "rate-limited", 1)] * 3)
    with pytest.raises(RateLimitedError) as caught:
        script.client(retries=RetryPolicy(attempts=3)).inpaint(b"1", b"2")
    assert (caught.value.retry_after_s, len(script.bodies)) == (1, 3)


def test_without_retries_nothing_is_tried_again(monkeypatch):
    script = Script(monkeypatch, httpx.ConnectError("refused"))
    with pytest.raises(NoAnswerError, match="refused"):
        script.client(retries=NO_RETRIES).inpaint(b"1", b"2")


def test_no_pause_that_goes_beyond_the_total_is_begun(monkeypatch):
    script = Script(monkeypatch, problem(503, "warming-up", 15))
    with pytest.raises(UnavailableError):
        script.client(retries=RetryPolicy(total_s=10)).inpaint(b"1", b"2")
    assert script.pauses == []


def test_a_stream_is_tried_again_until_it_opens(monkeypatch):
    data = b'event: started\ndata: {"model": "m", "seed": 1, "request_id": "r"}\n\n'
    broken = httpx.Response(200, content=data, headers={"content-type": "text/event-stream"})
    script = Script(monkeypatch, problem(503, "overloaded", 1), broken)
    events = script.client().inpaint_stream(b"1", b"2")
    assert next(events).request_id == "r"
    with pytest.raises(NoAnswerError, match="broke off"):
        next(events)
    assert len(script.bodies) == 2


def test_a_route_prefix_is_kept(monkeypatch):
    script = Script(monkeypatch, good())
    seen = []
    original = script.__call__
    client = Client(
        "http://x/prefix/",
        http=httpx.Client(
            transport=httpx.MockTransport(lambda r: seen.append(r.url.path) or original(r))
        ),
    )
    client.inpaint(b"1", b"2")
    assert seen == ["/prefix/inpaint"]


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


BUSY = error_of(Problem(503, "overloaded", "busy", retry_after_s=4.0, document={"type": "x"}))


def test_pauses_are_jittered_beyond_what_is_asked():
    for dice, wanted in ((0.0, 4.0), (1.0, 4.5)):
        attempts = Attempts(RetryPolicy(), None, Clock(), lambda dice=dice: dice)
        assert attempts.pause_after(BUSY) == pytest.approx(wanted)


def test_a_budget_bounds_all_attempts_and_each_is_told_what_is_left():
    clock = Clock()
    attempts = Attempts(RetryPolicy(attempts=9), 10.0, clock, lambda: 0.0)
    assert attempts.left_s == 10
    clock.now += 5
    assert attempts.pause_after(BUSY) == 4
    clock.now += 4
    assert attempts.left_s == pytest.approx(1)
    with pytest.raises(UnavailableError):
        attempts.pause_after(BUSY)


def test_retry_after_is_read_as_seconds_and_as_a_date():
    assert seconds_of("7") == 7
    assert seconds_of(None) is None
    assert seconds_of("soon") is None
    later = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 27 < seconds_of(later) <= 30
    assert seconds_of(email.utils.formatdate(time.time() - 30)) == 0
