"""Clients that go away in the middle of their body."""

import pytest

from serve_app.api import create_api
from serve_app.middleware import GONE, GONE_STATUS
from tests.local_service import LocalService


def scope_of(path):
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"1000")],
    }


@pytest.mark.parametrize("path", ["/inpaint", "/ocr", "/api/v1/inpaint", "/v1/images/edits"])
async def test_a_client_that_leaves_before_its_body_ends_is_no_defect_of_ours(tmp_path, path):
    settled, sent = [], []
    messages = [{"type": "http.request", "body": b'{"image": "', "more_body": True}]

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    service = LocalService(tmp_path)
    app = create_api(service.gateway, settled=[settled.append])
    await app(scope_of(path), receive, send)
    assert not sent  # nobody would read it
    [account] = settled
    assert (account.status, account.error) == (GONE_STATUS, GONE)
    assert service.gateway.bodies.held == 0
