"""Each API words its errors in its own way: which one answers is decided by the path."""

import logging
from collections.abc import Mapping
from math import ceil
from typing import Protocol

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from inpaint.errors import InpaintError, UnauthorizedError
from serve_app.accounts import account_of, note_error

logger = logging.getLogger("ray.serve")


HTTP_CODES = {404: "not-found", 405: "method-not-allowed"}
"""Codes of Starlette's own errors, by status; all others are "http"."""


def log_failure(error: InpaintError) -> None:
    """Note an error that is not the caller's."""
    if error.status >= 500:
        known = {"error": error.code}
        logger.error("%s: %s %s", error.code, error.detail, error.context, extra=known)


class ErrorShape(Protocol):
    """How one API words its errors."""

    def known(self, error: InpaintError) -> Response:
        """One of our own errors."""
        ...

    def http(self, request: Request, error: HTTPException) -> Response:
        """Starlette's own: no such route, no such method. Its headers are added afterwards."""
        ...

    def defect(self, request_id: str) -> Response:
        """A defect of ours. The log has the traceback, the caller the request's id to quote."""
        ...


class ErrorShapes:
    """The shape of each path.

    Args:
        native: answers where no other does.
        by_prefix: the others, such as "/api/v1".
    """

    def __init__(self, native: ErrorShape, by_prefix: Mapping[str, ErrorShape]) -> None:
        self._native = native
        self._by_prefix = by_prefix

    def install(self, app: FastAPI) -> None:
        """Teach `app` our errors. Starlette looks handlers up along the error's bases."""
        app.add_exception_handler(InpaintError, self._on_known)
        app.add_exception_handler(HTTPException, self._on_http)

    async def _on_known(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, InpaintError):
            raise TypeError(f"registered for InpaintError, got {type(error)}") from error
        return self.answer(request, error)

    def answer(self, request: Request, error: InpaintError) -> Response:
        """One of our own errors, in the shape of the path that was asked for."""
        note_error(request.scope, error.code)
        log_failure(error)
        answer = self._of(request).known(error)
        if error.retry_after_s is not None:
            answer.headers["Retry-After"] = str(ceil(error.retry_after_s))
        if isinstance(error, UnauthorizedError):
            answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    async def _on_http(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise TypeError(f"registered for HTTPException, got {type(error)}") from error
        note_error(request.scope, HTTP_CODES.get(error.status_code, "http"))
        answer = self._of(request).http(request, error)
        answer.headers.update(error.headers or {})
        return answer

    def defect(self, request: Request) -> Response:
        """A defect of ours; see ErrorShape."""
        note_error(request.scope, InpaintError.code)
        return self._of(request).defect(account_of(request.scope).request_id)

    def _of(self, request: Request) -> ErrorShape:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        for prefix, shape in self._by_prefix.items():
            if path == prefix or path.startswith(f"{prefix}/"):
                return shape
        return self._native
