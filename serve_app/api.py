"""The FastAPI application over a gateway. Made once a replica; tested without Ray."""

from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from serve_app import problems
from serve_app.gateway import Gateway
from serve_app.middleware import RequestIds
from serve_app.routes.health import health_routes
from serve_app.routes.native import native_routes

DESCRIPTION = """Erases objects and text from pictures. Every request names its model, many are
served at once, and what the mask does not mark stays as it was."""


def create_api(gateway: Gateway) -> FastAPI:
    """All routes, errors and layers."""
    app = FastAPI(title="inpaint-serve", version=_version(), description=DESCRIPTION)
    app.include_router(native_routes(gateway))
    app.include_router(health_routes(gateway))
    problems.install(app)
    app.add_middleware(RequestIds)
    return app


def _version() -> str:
    try:
        return version("inpaint-serve")
    except PackageNotFoundError:  # a checkout on the import path
        return "0"
