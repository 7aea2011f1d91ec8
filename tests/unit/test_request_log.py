"""The log's line of a request."""

import io
import json
import logging

import pytest
from ray._common.formatters import JSONFormatter

from serve_app.accounts import Account
from serve_app.request_log import log_request


@pytest.fixture
def account():
    account = Account("id-1", "POST", "/inpaint", status=200, received=1000, sent=2000)
    account.chose("Erase", "lama")
    account.tiles, account.duration_ms = 2, 12.34
    account.timings.add("decode", 1.25)
    return account


@pytest.fixture
def lines():
    """What Serve's own JSON formatter writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    logger = logging.getLogger("ray.serve")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_one_line_has_every_fact(account, lines):
    log_request(account)
    [line] = lines()
    assert line["levelname"] == "INFO"
    assert line["message"] == (
        "POST /inpaint 200 ms=12.3 in=1000 out=2000 family=Erase model=lama error=-"
    )
    facts = {
        "http_method": "POST",
        "http_route": "/inpaint",
        "status": 200,
        "duration_ms": 12.3,
        "bytes_in": 1000,
        "bytes_out": 2000,
        "family": "Erase",
        "model": "lama",
        "tiles": 2,
        "stages_ms": {"decode": 1.2},
    }
    assert {name: line[name] for name in facts} == facts
    assert "error" not in line


def test_an_error_is_named_and_what_is_not_known_left_out(lines):
    log_request(Account("id-1", "GET", "OTHER", status=404, error="not-found"))
    [line] = lines()
    assert (line["status"], line["error"], line["bytes_out"]) == (404, "not-found", 0)
    assert not {"family", "model", "tiles", "stages_ms"} & line.keys()


@pytest.mark.parametrize(
    ("route", "status", "level"),
    [
        ("/healthz", 200, "DEBUG"),
        ("/readyz", 200, "DEBUG"),
        ("/readyz", 503, "INFO"),
        ("/models", 200, "INFO"),
    ],
)
def test_probes_are_quiet_while_all_is_well(lines, route, status, level):
    log_request(Account("id-1", "GET", route, status=status))
    assert [line["levelname"] for line in lines()] == [level]
