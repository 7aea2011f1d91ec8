"""The errors of /api/v1 in IOPaint's words.

What a handler raises is {"error", "detail", "body", "errors"}; IOPaint's page shows "errors". A
body that does not fit its schema, an unknown path and a wrong method are {"detail"}, as there.
"""

from collections.abc import Sequence

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from inpaint.errors import InpaintError, MaskError

PREFIX = "/api/v1"


class IOPaintErrors:
    """The ErrorShape of /api/v1."""

    def known(self, error: InpaintError) -> JSONResponse:
        """One of our own errors."""
        status = 400 if isinstance(error, MaskError) else error.status  # IOPaint says 400
        return _raised(status, type(error).__name__, error.detail)

    def http(self, request: Request, error: HTTPException) -> JSONResponse:
        """No such route, no such method."""
        return JSONResponse({"detail": error.detail}, error.status_code)

    def defect(self, request_id: str) -> JSONResponse:
        """A defect of ours."""
        detail = f"The server failed; its log has the request as {request_id}."
        return _raised(500, InpaintError.__name__, detail)


def schema_error(kind: str, place: Sequence[str | int], message: str) -> RequestValidationError:
    """What FastAPI answers to a body that does not fit: 422 and one finding in "detail"."""
    return RequestValidationError([{"type": kind, "loc": ["body", *place], "msg": message}])


def schema_errors(error: ValidationError) -> RequestValidationError:
    """The same for all that pydantic found. Values stay out: they can be megabytes of base64."""
    return RequestValidationError(
        [
            {"type": found["type"], "loc": ["body", *found["loc"]], "msg": found["msg"]}
            for found in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    )


def _raised(status: int, error: str, detail: str) -> JSONResponse:
    return JSONResponse({"error": error, "detail": detail, "body": "", "errors": detail}, status)
