"""The native routes' errors: RFC 9457 problem responses."""

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from inpaint.errors import InpaintError

MEDIA_TYPE = "application/problem+json"


def problem(status: int, code: str, detail: str) -> JSONResponse:
    """One `application/problem+json` answer; docs/problems.md describes each code."""
    body = {"type": f"/problems/{code}", "title": code, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type=MEDIA_TYPE)


class Problems:
    """The ErrorShape of the native API."""

    def known(self, error: InpaintError) -> JSONResponse:
        """One of our own errors."""
        return problem(error.status, error.code, error.detail)

    def http(self, request: Request, error: HTTPException) -> JSONResponse:
        """No such route, no such method."""
        code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http")
        return problem(error.status_code, code, f"{request.method} {request.url.path}")

    def defect(self, request_id: str) -> JSONResponse:
        """A defect of ours."""
        return problem(
            500, "internal", f"The server failed; its log has the request as {request_id}."
        )
