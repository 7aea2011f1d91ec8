"""What is read off a request's headers: the wanted answer and the time budget."""

import pytest
from starlette.requests import Request

from inpaint.codecs import Format
from inpaint.errors import DeadlineError, NotAcceptableError, ParamsError
from inpaint.settings import IngressConfig
from serve_app.requests import JSON, deadline_of, wanted_answer

CONFIG = IngressConfig(default_timeout_s=120, max_timeout_s=280)


def request_with(**headers):
    raw = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, value in headers.items()
    ]
    return Request({"type": "http", "headers": raw})


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("*/*", None),
        ("", None),
        ("image/*", None),
        ("image/png", Format.PNG),
        ("IMAGE/PNG", Format.PNG),
        ("image/jpeg", Format.JPEG),
        ("image/webp;q=0.5, image/png;q=0.9", Format.PNG),
        ("application/json", JSON),
        ("application/*", JSON),
        ("application/json; charset=utf-8", JSON),
        ("image/webp, application/json", Format.WEBP),  # of equal quality the first
        ("application/json;q=0.9, image/webp", Format.WEBP),
        ("image/avif, image/webp, */*;q=0.8", Format.WEBP),  # as a browser asks for a picture
        ("text/html, application/xhtml+xml, */*;q=0.8", None),
        ("image/avif, */*;q=0.1", None),
        ("image/png;q=0, application/json;q=0.1", JSON),
        ("image/png;q=wrong, application/json;q=0.1", JSON),
        (" image/png ; q=1.000 , application/json", Format.PNG),
    ],
)
def test_accept_is_answered_with(accept, answer):
    assert wanted_answer(request_with(accept=accept)) == answer


def test_accept_absent_takes_anything():
    assert wanted_answer(request_with()) is None


@pytest.mark.parametrize("format_", list(Format))
def test_accept_may_name_every_format(format_):
    assert wanted_answer(request_with(accept=format_.media_type)) is format_


@pytest.mark.parametrize("accept", ["text/html", "image/avif", "image/png;q=0", "nonsense", ",;,"])
def test_accept_of_nothing_that_is_written_is_refused(accept):
    with pytest.raises(NotAcceptableError, match=r"application/json or one of image/png, image/"):
        wanted_answer(request_with(accept=accept))


@pytest.mark.parametrize(
    ("header", "budget_s"),
    [
        (None, 120),
        ("5", 5),
        ("0.25", 0.25),
        ("280", 280),
        ("281", 280),
        ("999999", 280),
        ("007", 7),
        ("1.000001", 1.000001),
    ],
)
def test_timeout_header_is_capped(header, budget_s):
    headers = {} if header is None else {"x_timeout_seconds": header}
    deadline = deadline_of(request_with(**headers), CONFIG)
    assert deadline.budget_s == budget_s
    assert budget_s - 1 < deadline.left_s <= budget_s


@pytest.mark.parametrize(
    "header", ["0", "0.0", "-1", "+1", "nan", "inf", "1e3", "", " ", "1,5", ".5", "5.", "²", "5 s"]
)
def test_timeout_header_that_is_no_positive_number_is_refused(header):
    with pytest.raises(ParamsError, match="X-Timeout-Seconds must be a positive number"):
        deadline_of(request_with(x_timeout_seconds=header), CONFIG)


def test_deadline_that_has_passed_raises_with_its_budget():
    deadline = deadline_of(request_with(x_timeout_seconds="0.000001"), CONFIG)
    with pytest.raises(DeadlineError, match=r"longer than its 1e-06 s"):
        deadline.check()
