"""Errors to RFC 9457 problem responses, in one place."""

import logging
from math import ceil

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from inpaint.errors import InpaintError

logger = logging.getLogger("ray.serve")

MEDIA_TYPE = "application/problem+json"


def problem(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """One `application/problem+json` answer; docs/problems.md describes each code."""
    body = {"type": f"/problems/{code}", "title": code, "status": status, "detail": detail}
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def of_error(error: InpaintError) -> JSONResponse:
    """The answer to one of our own errors."""
    if error.status >= 500:
        logger.error("%s: %s %s", error.code, error.detail, error.context)
    retry = error.retry_after_s
    headers = {} if retry is None else {"Retry-After": str(ceil(retry))}
    return problem(error.status, error.code, error.detail, headers)


async def _on_known_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, InpaintError):
        raise TypeError(f"registered for InpaintError, got {type(error)}") from error
    return of_error(error)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette's own: no such route, no such method."""
    if not isinstance(error, HTTPException):
        raise TypeError(f"registered for HTTPException, got {type(error)}") from error
    code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http")
    headers = dict(error.headers or {})
    return problem(error.status_code, code, f"{request.method} {request.url.path}", headers)


async def _on_unknown_error(request: Request, error: Exception) -> JSONResponse:
    """A defect of ours. The log has the traceback, the caller the request's id to quote."""
    request_id = getattr(request.state, "request_id", "unknown")
    return problem(500, "internal", f"The server failed; its log has the request as {request_id}.")


def install(app: FastAPI) -> None:
    """Teach `app` our errors. Starlette looks handlers up along the error's bases."""
    app.add_exception_handler(InpaintError, _on_known_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unknown_error)
