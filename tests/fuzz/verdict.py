"""What the service may answer to an input, whatever it is."""

import json
import re

from inpaint.codecs.headers import sniff
from inpaint.errors import InpaintError
from tests.fuzz.target import Answer, HangUp, Sent

MOST_CPU_S = 5.0
"""Of one input. By the clock it has HANG_S: a busy machine is no defect."""

LONGEST_ERROR_BYTES = 16_384
"""An error names what is wrong; it does not send the input back."""

INSIDE = re.compile(
    rb'Traceback|site-packages|object at 0x|File "|/tmp/|/root/|/home/|127\.0\.0\.1'
)
"""What tells of the machine, and what no input here contains."""


def codes(base=InpaintError):
    """Every error of ours, by code."""
    found = {base.code: base}
    for error in base.__subclasses__():
        found |= codes(error)
    return found


CODES = codes()
HTTP_PROBLEMS = {"not-found": 404, "method-not-allowed": 405}


def check(sent: Sent, answer: Answer) -> None:
    """Raise AssertionError unless the answer is one that a client can make sense of."""
    assert not answer.raised, answer.raised
    assert answer.cpu_s < MOST_CPU_S, f"{answer.cpu_s:.1f} s"
    if sent.hang_up is not HangUp.NEVER and answer.status == 0:
        return
    shown = (answer.status, answer.headers, answer.body[:500])
    assert "server-timing" in answer.headers, shown
    assert "x-request-id" in answer.headers, shown
    if answer.status < 300:
        check_result(answer)
        return
    if answer.status == 307:  # a slash too many
        assert answer.headers["location"], shown
        return
    assert len(answer.body) <= LONGEST_ERROR_BYTES, (len(answer.body), *shown)
    assert not INSIDE.search(answer.body), shown
    assert 400 <= answer.status < 500 or answer.status in (503, 504), shown
    check_error(sent.target.partition("?")[0], answer)


def check_result(answer: Answer) -> None:
    """A good answer is what its media type says."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind.startswith("image/") and kind != "image/svg+xml":
        assert sniff(answer.body) == kind.removeprefix("image/")
    elif kind == "application/json":
        json.loads(answer.body)
    else:
        assert kind.startswith("text/") or kind.endswith(("xml", "json")), kind


def check_error(path: str, answer: Answer) -> None:
    """An error has the shape of the API that was asked."""
    shown = (answer.status, answer.headers, answer.body[:500])
    content = json.loads(answer.body)
    if f"{path}/".startswith("/api/v1/"):
        if content.keys() == {"detail"}:
            assert content["detail"], shown
        else:
            assert content.keys() == {"error", "detail", "body", "errors"}, shown
            assert content["detail"] == content["errors"] != "", shown
    elif f"{path}/".startswith("/v1/"):
        error = content["error"]
        assert error.keys() == {"message", "type", "param", "code"}, shown
        assert error["message"], shown
    else:
        assert answer.headers["content-type"] == "application/problem+json", shown
        assert content["status"] == answer.status, shown
        assert content["detail"], shown
        code = content["title"]
        expected = HTTP_PROBLEMS.get(code) or CODES[code].status
        assert expected == answer.status, shown
