"""The errors of /v1 in OpenAI's words: {"error": {"message", "type", "param", "code"}}."""

from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from inpaint.errors import (
    InpaintError,
    MaskError,
    RateLimitedError,
    RequestError,
    UnauthorizedError,
    UnknownModelError,
)

PREFIX = "/v1"

INVALID, LIMITED, SERVER = "invalid_request_error", "rate_limit_error", "server_error"
"""Values of "type"."""

CODES: dict[type[InpaintError], str] = {
    UnauthorizedError: "invalid_api_key",
    UnknownModelError: "model_not_found",
    RateLimitedError: "rate_limit_exceeded",
}
"""Codes that OpenAI has for the same; all others are ours (docs/problems.md)."""

PARAMS: dict[type[InpaintError], str] = {UnknownModelError: "model", MaskError: "mask"}
"""The field at fault where the error itself does not name one."""

SHOULD_RETRY = "x-should-retry"
"""OpenAI's clients obey it. Without it they would send again what was cancelled, what has run out
of time, and what waits for weights that nobody fetches."""


class OpenAIErrors:
    """The ErrorShape of /v1."""

    def known(self, error: InpaintError) -> JSONResponse:
        """One of our own errors."""
        # OpenAI answers 400 to every value that it does not take.
        status = 400 if error.status == 422 else error.status
        should_retry = "true" if error.retry_after_s is not None else "false"
        return JSONResponse(body_of(error), status, headers={SHOULD_RETRY: should_retry})

    def http(self, request: Request, error: HTTPException) -> JSONResponse:
        """No such route, no such method."""
        message = f"Invalid URL or method ({request.method} {request.url.path})"
        return JSONResponse(_body(message, INVALID), error.status_code)

    def defect(self, request_id: str) -> JSONResponse:
        """A defect of ours."""
        return JSONResponse(defect_body(request_id), 500, headers={SHOULD_RETRY: "false"})


def body_of(error: InpaintError) -> dict[str, Any]:
    """The body for one of our own errors, which a stream's error event has as well."""
    param = error.context.get("param", PARAMS.get(type(error)))
    code = CODES.get(type(error), error.code)
    return _body(error.detail, _type_of(error), None if param is None else str(param), code)


def defect_body(request_id: str) -> dict[str, Any]:
    """The body for a defect of ours."""
    detail = f"The server failed; its log has the request as {request_id}."
    return _body(detail, SERVER, code=InpaintError.code)


def _type_of(error: InpaintError) -> str:
    if isinstance(error, RateLimitedError):
        return LIMITED
    return INVALID if isinstance(error, RequestError) else SERVER


def _body(
    message: str, kind: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
