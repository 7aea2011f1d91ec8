"""What a call raises.

* InpaintClientError
  x NoAnswerError              nobody answered, or the answer broke off
  x ApiError                   the server answered with a problem
    + RequestError             4xx: the request is at fault
      - ImageDecodeError       image-decode
      - UnauthorizedError      unauthorized
      - BodyTooLargeError      body-too-large
      - ImageTooLargeError     image-too-large
      - MaskMismatchError      mask-mismatch
      - BadParamsError         bad-params
      - ContentRefusedError    content-refused
      - UnknownModelError      unknown-model
      - UnknownRequestError    unknown-request
      - CancelledError         cancelled
      - RateLimitedError       rate-limited
    + UnavailableError         502, 503: the same request can succeed later
    + ServerError              other 5xx: a defect of the server, or of a model
      - DeadlineError          deadline

A code without a class of its own is one of the three in the middle; `error.code` has it. All codes
are in docs/problems.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx

from inpaint_client.retry_after import seconds_of

PROBLEM = "application/problem+json"
_TRIED_AGAIN = frozenset({429, 502, 503})
"""Statuses under which the same request may succeed a moment later."""
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """An RFC 9457 problem document, or what stands for it where a proxy answered without one."""

    status: int
    code: str
    """The last part of the document's `type`; "http" where there is no document."""
    detail: str
    """What is wrong, and what would be right."""
    request_id: str | None = None
    """Under which the server's log has it."""
    retry_after_s: float | None = None
    """How long the server asks to wait; None where it does not."""
    document: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """As it came; empty where there was none."""


class InpaintClientError(Exception):
    """Base of everything that this package raises on purpose."""

    @property
    def can_be_tried_again(self) -> bool:
        """Whether the same request may succeed without anybody doing something first."""
        return False

    @property
    def retry_after_s(self) -> float | None:
        """How long to wait before that; None where nobody has said."""
        return None


class NoAnswerError(InpaintClientError):
    """Nobody answered, or the connection broke in the middle of an answer.

    Args:
        message: what happened.
        can_be_tried_again: False where time ran out.
    """

    def __init__(self, message: str, can_be_tried_again: bool = False) -> None:
        super().__init__(message, can_be_tried_again)
        self._again = can_be_tried_again

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def can_be_tried_again(self) -> bool:
        """See InpaintClientError."""
        return self._again


class ApiError(InpaintClientError):
    """The server answered with a problem.

    Args:
        problem: what it said.
    """

    for_code: ClassVar[str | None] = None
    """The problem's code that this class stands for."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.problem.detail} ({self.problem.status} {self.problem.code})"

    @property
    def code(self) -> str:
        """The problem's code; see docs/problems.md."""
        return self.problem.code

    @property
    def status(self) -> int:
        """The HTTP status, also of a problem within a stream."""
        return self.problem.status

    @property
    def detail(self) -> str:
        """What is wrong, and what would be right."""
        return self.problem.detail

    @property
    def request_id(self) -> str | None:
        """Under which the server's log has it."""
        return self.problem.request_id

    @property
    def retry_after_s(self) -> float | None:
        """See InpaintClientError."""
        return self.problem.retry_after_s

    @property
    def can_be_tried_again(self) -> bool:
        """See InpaintClientError.

        Our server sends `Retry-After` exactly where waiting helps. An answer that is no problem
        document is a proxy's, which does not know.
        """
        if self.status not in _TRIED_AGAIN:
            return False
        return self.retry_after_s is not None or not self.problem.document


class RequestError(ApiError):
    """The request is at fault: it fails again as it stands."""


class UnavailableError(ApiError):
    """Not now: overload, a model that is being fetched, a lost replica."""


class ServerError(ApiError):
    """A defect of the server, or of a model."""


class ImageDecodeError(RequestError):
    """A file is no picture that the server reads, or breaks off."""

    for_code = "image-decode"


class UnauthorizedError(RequestError):
    """The server asks for an API key, and does not know the one that was sent."""

    for_code = "unauthorized"


class BodyTooLargeError(RequestError):
    """The request has more bytes than the server takes."""

    for_code = "body-too-large"


class ImageTooLargeError(RequestError):
    """The picture has more pixels than the server takes."""

    for_code = "image-too-large"


class MaskMismatchError(RequestError):
    """Mask and picture differ in size."""

    for_code = "mask-mismatch"


class BadParamsError(RequestError):
    """A parameter is missing, out of range, unknown, or not read by the model."""

    for_code = "bad-params"


class ContentRefusedError(RequestError):
    """The checkpoint's safety checker has flagged the result."""

    for_code = "content-refused"


class UnknownModelError(RequestError):
    """No model has this name."""

    for_code = "unknown-model"


class UnknownRequestError(RequestError):
    """No request of this id is running."""

    for_code = "unknown-request"


class CancelledError(RequestError):
    """The request was cancelled by its id."""

    for_code = "cancelled"


class RateLimitedError(RequestError):
    """The API key has asked for more than it may."""

    for_code = "rate-limited"


class DeadlineError(ServerError):
    """The request's time budget ran out."""

    for_code = "deadline"


def _leaves(base: type[ApiError]) -> list[type[ApiError]]:
    return [base, *(leaf for sub in base.__subclasses__() for leaf in _leaves(sub))]


_BY_CODE = {leaf.for_code: leaf for leaf in _leaves(ApiError) if leaf.for_code}


def error_of(problem: Problem) -> ApiError:
    """The exception that stands for a problem."""
    if problem.code in _BY_CODE:
        return _BY_CODE[problem.code](problem)
    if problem.status in (502, 503):
        return UnavailableError(problem)
    return RequestError(problem) if problem.status < 500 else ServerError(problem)


def problem_in(document: Mapping[str, Any], request_id: str | None) -> Problem:
    """The problem of a document, as a stream's `error` event has it."""
    return Problem(
        status=int(document.get("status", 500)),
        code=str(document.get("type", "")).rsplit("/", 1)[-1] or "http",
        detail=str(document.get("detail", "")),
        request_id=request_id,
        retry_after_s=document.get("retry_after_s"),
        document=document,
    )


def error_in(answer: httpx.Response) -> ApiError:
    """The exception for an answer that is no success; its body has been read."""
    request_id = answer.headers.get("x-request-id")
    wait_s = seconds_of(answer.headers.get("retry-after"))
    document = _document(answer)
    if document is None:
        text = answer.text.strip()[:_SHOWN_CHARACTERS] if _is_plain(answer) else ""
        detail = text or f"Somebody before the server answered {answer.status_code}."
        return error_of(Problem(answer.status_code, "http", detail, request_id, wait_s))
    problem = problem_in({"retry_after_s": wait_s, **document}, request_id)
    return error_of(problem)


def _document(answer: httpx.Response) -> Mapping[str, Any] | None:
    if answer.headers.get("content-type", "").partition(";")[0] != PROBLEM:
        return None
    try:
        document = answer.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _is_plain(answer: httpx.Response) -> bool:
    return str(answer.headers.get("content-type", "")).startswith("text/plain")


def lost(error: httpx.TransportError) -> NoAnswerError:
    """Our error for one of httpx. Painting changes nothing on the server, so that a request whose
    connection broke may be sent again; one that ran out of time has had its time.
    """  # noqa: D205  one sentence
    is_late = isinstance(error, httpx.TimeoutException) and not isinstance(
        error, httpx.ConnectTimeout
    )
    is_ours = isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError)
    what = "No answer in time" if is_late else "No answer"
    return NoAnswerError(f"{what}: {error or type(error).__name__}", not (is_late or is_ours))
