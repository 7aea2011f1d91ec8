"""The FastAPI application over a gateway. Made once a replica; tested without Ray."""

from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from inpaint.settings import AccessArgs, IOPaintArgs
from serve_app.access.layers import add_access
from serve_app.accounts import Settled
from serve_app.body_memory import BodyMemory
from serve_app.every_error import error_shapes
from serve_app.gateway import Gateway
from serve_app.middleware import Accounts, RequestIds
from serve_app.request_log import log_request
from serve_app.routes.health import health_routes
from serve_app.routes.iopaint import iopaint_routes
from serve_app.routes.native import native_routes
from serve_app.routes.openai import openai_routes
from serve_app.routes.page import page_routes
from serve_app.sockets.progress import Announcer, Tell

DESCRIPTION = """Erases objects and text from pictures. Every request names its model, many are
served at once, and what the mask does not mark stays as it was."""


def create_api(
    gateway: Gateway,
    iopaint: IOPaintArgs = IOPaintArgs(),  # noqa: B008  frozen
    access: AccessArgs = AccessArgs(),  # noqa: B008  frozen
    *,
    replicas: Callable[[], int] = lambda: 1,
    echo_request_id: bool = True,
    adopt_request_id: Callable[[str], None] = lambda _: None,
    settled: Sequence[Settled] = (),
    tell: Tell | None = None,
) -> FastAPI:
    """All routes, errors and layers.

    Args:
        gateway: does the work.
        iopaint: what IOPaint's routes were told on the command line.
        access: who may ask.
        replicas: how many of these applications share the limits of API keys.
        echo_request_id: False behind Serve's proxy, which does so itself.
        adopt_request_id: told of each request's id, on the task that serves it.
        settled: told of each request at its end, as the log is.
        tell: sends events to the sockets of IOPaint's page; None where there are none.

    Raises:
        KeysError: API keys are required, and their file is missing or broken.
    """
    app = FastAPI(
        title="inpaint-serve",
        version=_version(),
        description=DESCRIPTION,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # see tracing.py
    )
    app.include_router(native_routes(gateway))
    app.include_router(health_routes(gateway))
    app.include_router(iopaint_routes(gateway, iopaint, Announcer(tell)))
    app.include_router(openai_routes(gateway))
    app.include_router(page_routes())
    shapes = error_shapes()
    shapes.install(app)
    app.add_middleware(
        BodyMemory,
        memory=gateway.bodies,
        max_body_bytes=lambda: gateway.max_body_bytes,
        admit=gateway.admit,
        answer=shapes.answer,
    )
    add_access(app, access, replicas, shapes.answer)
    app.add_middleware(Accounts, defect=shapes.defect, settled=(log_request, *settled))
    app.add_middleware(RequestIds, echo=echo_request_id, adopt=adopt_request_id)
    return app


def _version() -> str:
    try:
        return version("inpaint-serve")
    except PackageNotFoundError:  # a checkout on the import path
        return "0"
