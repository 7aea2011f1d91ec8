"""The layer as an ASGI application sees it, without a server."""

import json

import pytest

from serve_app.accounts import Account
from serve_app.body_memory import BodyMemory
from serve_app.error_shapes import ErrorShapes
from serve_app.memory import Memory
from serve_app.problems import Problems

LIMIT = 1000


@pytest.fixture
def memory():
    return Memory(LIMIT, "as many bodies")


class Inner:
    """Reads the body, notes what is held then, and answers; or does as Serve's proxy does."""

    def __init__(self, memory, answer=b"done", raises=False):
        self.memory, self.answer, self.raises = memory, answer, raises
        self.calls, self.body, self.was_left = 0, b"", False
        self.held: list[int] = []

    async def __call__(self, scope, receive, send):
        self.calls += 1
        has_more = True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.was_left = True
                if self.raises:
                    raise ConnectionError
                return
            self.body += message["body"]
            has_more = message.get("more_body", False)
        self.held.append(self.memory.held)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self.answer})


async def ask(memory, inner, chunks, declared=None, on_send=lambda: None):
    """Status, headers and body of the answer to a request with these chunks."""
    headers = [] if declared is None else [(b"content-length", str(declared).encode())]
    scope = {"type": "http", "method": "POST", "path": "/inpaint", "headers": headers,
             "state": {"account": Account("1")}}  # fmt: skip
    left, sent = list(chunks), []

    async def receive():
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    async def send(message):
        on_send()
        sent.append(message)

    shapes = ErrorShapes(Problems(), {})
    await BodyMemory(inner, memory, lambda: 600, shapes.answer)(scope, receive, send)
    start, *rest = sent
    answer = b"".join(message.get("body", b"") for message in rest)
    return start["status"], dict(start["headers"]), answer, left


async def test_a_body_counts_until_its_request_has_ended(memory):
    inner = Inner(memory)
    status, _, answer, _ = await ask(memory, inner, [b"a" * 200, b"b" * 100], 300)
    assert (status, answer, inner.body) == (200, b"done", b"a" * 200 + b"b" * 100)
    assert inner.held == [300]
    assert memory.held == 0


async def test_a_body_without_a_length_counts_as_it_comes(memory):
    inner = Inner(memory)
    await ask(memory, inner, [b"a" * 200, b"b" * 100])
    assert inner.held == [300]


async def test_a_length_that_is_too_small_hides_nothing(memory):
    inner = Inner(memory)
    await ask(memory, inner, [b"a" * 200, b"b" * 100], 50)
    assert inner.held == [300]


async def test_no_room_is_503_with_retry_after_before_a_byte_is_read(memory):
    inner = Inner(memory)
    with memory.share() as other:
        other.take(800)
        status, headers, answer, unread = await ask(memory, inner, [b"a" * 300], 300)
    assert (status, inner.calls, len(unread)) == (503, 0, 1)
    assert headers[b"retry-after"] == b"1"
    assert headers[b"content-type"] == b"application/problem+json"
    assert json.loads(answer)["type"] == "/problems/overloaded"


@pytest.mark.parametrize("raises", [False, True], ids=["Serve's proxy", "Starlette"])
async def test_a_body_that_outgrows_the_room_is_503_on_its_way(memory, raises):
    inner = Inner(memory, raises=raises)
    with memory.share() as other:
        other.take(800)
        status, headers, _, unread = await ask(memory, inner, [b"a" * 150] * 4)
        assert memory.held == 800
    assert (status, headers[b"retry-after"]) == (503, b"1")
    assert inner.was_left
    assert len(unread) == 2


async def test_one_body_larger_than_all_memory_is_413(memory):
    status, _, answer, _ = await ask(memory, Inner(memory), [b"a" * 400] * 9)
    assert (status, json.loads(answer)["type"]) == (413, "/problems/body-too-large")


async def test_what_says_that_it_is_too_long_is_left_to_the_application(memory):
    inner = Inner(memory)
    with memory.share() as other:
        other.take(300)
        status, *_ = await ask(memory, inner, [b""], 10**12)
    assert (status, inner.calls) == (200, 1)


async def test_an_answer_counts_while_it_is_being_sent(memory):
    held = []
    inner = Inner(memory, b"x" * 5000)
    await ask(memory, inner, [b"a" * 100], 100, lambda: held.append(memory.held))
    assert held == [100, 5100]
    assert memory.held == 0


async def test_an_error_of_the_application_is_not_swallowed(memory):
    async def broken(scope, receive, send):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ask(memory, broken, [b"a"], 1)
    assert memory.held == 0
