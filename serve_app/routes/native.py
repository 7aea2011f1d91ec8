"""The native API: inpaint, models, cancelling."""

import base64

from fastapi import APIRouter, Request
from fastapi.responses import Response

from inpaint.errors import UnknownRequestError
from inpaint.jobs import Result
from serve_app import bodies, openapi
from serve_app.gateway import Gateway
from serve_app.requests import JSON, deadline_of, request_id_of, wanted_answer
from serve_app.schemas import Cancelled, InpaintAnswer, ModelCard, ModelList


def native_routes(gateway: Gateway) -> APIRouter:
    """Routes over `gateway`."""
    router = APIRouter()

    @router.post("/inpaint", **openapi.INPAINT)
    async def inpaint(request: Request) -> Response:
        """Erase what the mask marks and fill the hole.

        The answer is the picture itself, or JSON with the picture as base64, as the `Accept`
        header says. Pixels outside the mask stay the input's.
        """
        deadline = deadline_of(request, gateway.config)
        answer = wanted_answer(request)
        content = await bodies.read(request, gateway.max_body_bytes)
        body = await gateway.parse(request.headers.get("content-type", ""), content)
        if answer not in (None, JSON):
            body.fields.setdefault("format", str(answer))
        result = await gateway.inpaint(request_id_of(request), body, deadline)
        return _as_json(request, result) if answer == JSON else _as_picture(result)

    @router.get("/models", **openapi.MODELS)
    async def models() -> ModelList:
        """What can be asked for, and in what state it is."""
        return await gateway.models()

    @router.get("/models/{name:path}", **openapi.MODEL)
    async def model(name: str) -> ModelCard:
        """One model."""
        return await gateway.model(name)

    @router.delete("/requests/{request_id}", **openapi.CANCEL)
    async def cancel(request_id: str) -> Cancelled:
        """Cancel a running request by the id that it was sent with, or that its answer names."""
        if not await gateway.cancel_everywhere(request_id):
            raise UnknownRequestError("No request of this id is running.")
        return Cancelled(request_id=request_id, cancelled=True)

    return router


def _headers(result: Result) -> dict[str, str]:
    return {
        "X-Model": result.model,
        "X-Seed": str(result.seed),
        "Server-Timing": result.timings.header(),
    }


def _as_picture(result: Result) -> Response:
    return Response(result.data, media_type=result.format.media_type, headers=_headers(result))


def _as_json(request: Request, result: Result) -> Response:
    height, width = result.size
    answer = InpaintAnswer(
        image=base64.b64encode(result.data).decode("ascii"),
        format=result.format,
        width=width,
        height=height,
        model=result.model,
        seed=result.seed,
        tiles=result.tiles,
        request_id=request_id_of(request),
        timings_ms=result.timings.stages,
    )
    return Response(answer.model_dump_json(), media_type=JSON, headers=_headers(result))
