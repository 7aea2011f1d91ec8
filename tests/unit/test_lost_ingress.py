"""What Serve's proxy says for an ingress replica that died."""

import json

import httpx
import pytest

from serve_app.proxy import layers


def wrapped(app):
    """An application within the layers of the proxy."""
    for layer in reversed(layers()):
        app = layer.cls(app, *layer.args, **layer.kwargs)
    return app


async def send(app, path):
    transport = httpx.ASGITransport(app=wrapped(app), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:
        return await client.post(path, content=b"picture")


async def silent(scope, receive, send):
    """As Serve's proxy is, when the replica that had the request has died."""
    await receive()


async def answering(scope, receive, send):
    await send({"type": "http.response.start", "status": 500, "headers": []})
    await send({"type": "http.response.body", "body": b"ours"})


async def test_silence_becomes_a_502_that_may_be_sent_again():
    answer = await send(silent, "/inpaint")
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["type"] == "/problems/ingress-lost"


async def test_iopaints_clients_are_told_in_iopaints_words():
    answer = await send(silent, "/api/v1/inpaint")
    assert answer.status_code == 502
    assert "send it again" in json.dumps(answer.json())
    assert "type" not in answer.json()


@pytest.mark.parametrize("path", ["/inpaint", "/api/v1/inpaint"])
async def test_an_answer_passes_as_it_is(path):
    answer = await send(answering, path)
    assert (answer.status_code, answer.content) == (500, b"ours")


async def test_other_connections_are_left_alone():
    sent = []

    async def note(message):
        sent.append(message)

    async def receive():
        return {"type": "websocket.connect"}

    await wrapped(silent)({"type": "websocket", "path": "/", "headers": []}, receive, note)
    assert sent == []
