"""The native routes' errors: RFC 9457 problem responses."""

from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from inpaint.errors import InpaintError
from serve_app.error_shapes import HTTP_CODES

MEDIA_TYPE = "application/problem+json"


def problem(status: int, code: str, detail: str) -> JSONResponse:
    """One `application/problem+json` answer; docs/problems.md describes each code."""
    return JSONResponse(_body(status, code, detail), status, media_type=MEDIA_TYPE)


def problem_of(error: InpaintError) -> dict[str, Any]:
    """The body alone, for an error that is told within an answer, with its `Retry-After`."""
    body = _body(error.status, error.code, error.detail)
    return body if error.retry_after_s is None else body | {"retry_after_s": error.retry_after_s}


def unknown_problem(request_id: str) -> dict[str, Any]:
    """The body for a defect of ours."""
    return _body(500, "internal", f"The server failed; its log has the request as {request_id}.")


def _body(status: int, code: str, detail: str) -> dict[str, Any]:
    return {"type": f"/problems/{code}", "title": code, "status": status, "detail": detail}


class Problems:
    """The ErrorShape of the native API."""

    def known(self, error: InpaintError) -> JSONResponse:
        """One of our own errors."""
        return problem(error.status, error.code, error.detail)

    def http(self, request: Request, error: HTTPException) -> JSONResponse:
        """No such route, no such method."""
        code = HTTP_CODES.get(error.status_code, "http")
        return problem(error.status_code, code, f"{request.method} {request.url.path}")

    def defect(self, request_id: str) -> JSONResponse:
        """A defect of ours."""
        return JSONResponse(unknown_problem(request_id), 500, media_type=MEDIA_TYPE)
