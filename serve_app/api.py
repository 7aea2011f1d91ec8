"""The FastAPI application over a gateway. Made once a replica; tested without Ray."""

from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from inpaint.settings import IOPaintArgs
from serve_app.error_shapes import ErrorShapes
from serve_app.gateway import Gateway
from serve_app.iopaint.errors import PREFIX as IOPAINT
from serve_app.iopaint.errors import IOPaintErrors
from serve_app.middleware import RequestIds
from serve_app.problems import Problems
from serve_app.routes.health import health_routes
from serve_app.routes.iopaint import iopaint_routes
from serve_app.routes.native import native_routes

DESCRIPTION = """Erases objects and text from pictures. Every request names its model, many are
served at once, and what the mask does not mark stays as it was."""


def create_api(
    gateway: Gateway,
    iopaint: IOPaintArgs = IOPaintArgs(),  # noqa: B008  frozen
    *,
    echo_request_id: bool = True,
) -> FastAPI:
    """All routes, errors and layers; behind Serve's proxy the id is echoed there."""
    app = FastAPI(title="inpaint-serve", version=_version(), description=DESCRIPTION)
    app.include_router(native_routes(gateway))
    app.include_router(health_routes(gateway))
    app.include_router(iopaint_routes(gateway, iopaint))
    ErrorShapes(Problems(), {IOPAINT: IOPaintErrors()}).install(app)
    app.add_middleware(RequestIds, echo=echo_request_id)
    return app


def _version() -> str:
    try:
        return version("inpaint-serve")
    except PackageNotFoundError:  # a checkout on the import path
        return "0"
