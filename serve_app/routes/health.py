"""Whether the service is alive, and whether it can answer."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from serve_app import openapi
from serve_app.gateway import Gateway
from serve_app.schemas import Readiness


def health_routes(gateway: Gateway) -> APIRouter:
    """Routes over `gateway`."""
    router = APIRouter()

    @router.get("/healthz", **openapi.HEALTHZ)
    async def healthz() -> dict[str, str]:
        """This ingress replica answers."""
        return {"status": "ok"}

    @router.get("/readyz", **openapi.READYZ, response_model=Readiness)
    async def readyz() -> JSONResponse:
        """Every family can take a request; 503 with the same body when one cannot."""
        readiness = await gateway.readiness()
        return JSONResponse(readiness.model_dump(), 200 if readiness.ready else 503)

    return router
