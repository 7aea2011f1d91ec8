"""Streams of events, in whatever pieces they come."""

import base64
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint_client import ApiError, Finished, NoAnswerError, Restarted, Started, Step
from inpaint_client.events import EventReader

RESULT = {
    "image": base64.b64encode(b"picture \n\n bytes").decode(), "format": "png", "width": 3,
    "height": 2, "model": "m", "seed": 5, "tiles": 1, "request_id": "r",
    "timings_ms": {"models": 3.5}, "of a newer server": True,
}  # fmt: skip
STREAM = [
    ("started", {"model": "m", "seed": 5, "request_id": "r"}),
    ("step", {"step": 1, "total": 2, "elapsed_ms": 1.5}),
    ("restarted", {"elapsed_ms": 2.5}),
    ("of a newer server", {"x": 1}),
    ("step", {"step": 1, "total": 2, "elapsed_ms": 3.5, "preview": "/9g="}),
    ("result", RESULT),
]


def written(stream, end="\n"):
    blocks = [f"event: {name}{end}data: {json.dumps(data)}{end}{end}" for name, data in stream]
    return f": still running{end}{end}".join(blocks).encode()


def read(pieces):
    reader = EventReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    reader.close()
    return events


@given(st.lists(st.integers(0, len(written(STREAM))), max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_events_are_the_same_in_any_pieces(cuts, line_end):
    data = written(STREAM, line_end)
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    events = read(pieces)
    assert events[:-1] == [
        Started("m", 5, "r"),
        Step(1, 2, 1.5),
        Restarted(2.5),
        Step(1, 2, 3.5, b"\xff\xd8"),
    ]
    assert isinstance(events[-1], Finished)
    result = events[-1].result
    assert (result.data, result.seed, result.timings_ms) == (
        b"picture \n\n bytes", 5, {"models": 3.5},
    )  # fmt: skip


def test_a_stream_without_a_result_has_broken_off():
    with pytest.raises(NoAnswerError, match="broke off"):
        read([written(STREAM[:-1])])


def test_an_error_event_is_raised_with_its_advice():
    problem = {"type": "/problems/replica-lost", "status": 503, "detail": "d", "retry_after_s": 5.0}
    with pytest.raises(ApiError) as caught:
        read([written([STREAM[0], ("error", problem)])])
    told = caught.value
    assert (told.code, told.status, told.retry_after_s, told.request_id) == (
        "replica-lost", 503, 5.0, "r",
    )  # fmt: skip
