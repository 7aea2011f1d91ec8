"""Runs of special models and of guided checkpoints: told step by step, and ended early."""

import httpx
import pytest

from tests.events import events_in, events_of
from tests.serve.special_checkpoints import CANNY_XL, PAINT_BY_EXAMPLE, PLAIN, PLAIN_XL
from tests.serve.special_requests import ANYTEXT, POWERPAINT, special_request

STREAM = "text/event-stream"
MANY = 100
"""Steps that take longer than it takes to cancel."""
RUNS = [
    (PAINT_BY_EXAMPLE, {}),
    (POWERPAINT, {"powerpaint_task": "object-remove"}),
    (ANYTEXT, {}),
    (PLAIN, {"enable_controlnet": "true"}),
    (PLAIN, {"enable_brushnet": "true"}),
    (PLAIN, {"enable_powerpaint_v2": "true"}),
    (PLAIN_XL, {"enable_controlnet": "true", "controlnet_method": CANNY_XL}),
    (PLAIN_XL, {"enable_brushnet": "true"}),
]


@pytest.mark.parametrize(("model", "fields"), RUNS)
def test_each_step_is_told_with_a_preview(special, model, fields):
    told = events_of(special.ask(model, accept=STREAM, sd_steps=4, previews="true", **fields).text)
    steps = [data for name, data in told if name == "step"]
    assert [data["step"] for data in steps] == list(range(1, steps[0]["total"] + 1))
    assert all(data["preview"] for data in steps)
    assert told[-1][0] == "result"


@pytest.mark.parametrize(("model", "fields"), RUNS)
def test_cancelling_ends_the_run_and_frees_the_device(special, url, client, model, fields):
    request = special_request(model, accept=STREAM, sd_steps=MANY, **fields)
    with (
        httpx.Client(base_url=url, timeout=60) as other,
        other.stream("POST", "/inpaint", **request) as answer,
    ):
        told = []
        for name, data in events_in(answer):
            told.append((name, data))
            if name == "step" and data["step"] == 2:
                identity = told[0][1]["request_id"]
                assert client.delete(f"/requests/{identity}").status_code < 300
    assert told[-1][0] == "error", told[-1]
    assert told[-1][1]["title"] == "cancelled"
    assert max(data["step"] for name, data in told if name == "step") < MANY // 2
    special.paint_again(model, **fields)
