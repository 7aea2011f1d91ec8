"""The FastAPI application over a gateway. Made once a replica; tested without Ray."""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from inpaint.settings import AccessArgs, IOPaintArgs
from serve_app.access.layers import add_access
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
    access: AccessArgs = AccessArgs(),  # noqa: B008  frozen
    *,
    replicas: Callable[[], int] = lambda: 1,
    echo_request_id: bool = True,
) -> FastAPI:
    """All routes, errors and layers.

    Args:
        gateway: does the work.
        iopaint: what IOPaint's routes were told on the command line.
        access: who may ask.
        replicas: how many of these applications share the limits of API keys.
        echo_request_id: False behind Serve's proxy, which does so itself.

    Raises:
        KeysError: API keys are required, and their file is missing or broken.
    """
    app = FastAPI(title="inpaint-serve", version=_version(), description=DESCRIPTION)
    app.include_router(native_routes(gateway))
    app.include_router(health_routes(gateway))
    app.include_router(iopaint_routes(gateway, iopaint))
    shapes = ErrorShapes(Problems(), {IOPAINT: IOPaintErrors()})
    shapes.install(app)
    add_access(app, access, replicas, shapes.answer)
    app.add_middleware(RequestIds, echo=echo_request_id)
    return app


def _version() -> str:
    try:
        return version("inpaint-serve")
    except PackageNotFoundError:  # a checkout on the import path
        return "0"
