"""OpenAI's images API over our models; see docs/openai-api.md."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serve_app.accounts import account_of
from serve_app.answers import headers_of
from serve_app.event_stream import stream
from serve_app.gateway import Gateway
from serve_app.openai import openapi
from serve_app.openai.answers import EditWords, answer_of
from serve_app.openai.edits import read_edit, run_edit, run_edits
from serve_app.openai.errors import PREFIX
from serve_app.openai.models import OpenAIModel, OpenAIModels, listed, of_card
from serve_app.requests import JSON, deadline_of
from serve_app.routes.receiving import receive


def openai_routes(gateway: Gateway) -> APIRouter:
    """Routes over `gateway`."""
    router = APIRouter(prefix=PREFIX, tags=["OpenAI"])

    @router.post("/images/edits", **openapi.EDIT)
    async def edit(request: Request) -> Response:
        """Repaint a picture where the mask, or without one the picture, is transparent.

        Pixels elsewhere stay the input's. With `stream` the answer is OpenAI's events.
        """
        account, deadline = account_of(request.scope), deadline_of(request, gateway.config)
        read = partial(read_edit, limits=gateway.limits)
        wanted = await receive(request, gateway, read)
        if wanted.fields.stream:
            run = partial(run_edit, gateway, account, wanted, deadline)
            words = EditWords(wanted, account.request_id)
            previews = wanted.fields.partial_images > 0
            return await stream(run, previews, account, gateway.off_loop, words)
        results = await run_edits(gateway, account, wanted, deadline)
        body = await gateway.off_loop(answer_of, results)
        return Response(body, media_type=JSON, headers=headers_of(results[0]))

    @router.get("/models", **openapi.MODELS)
    async def models() -> OpenAIModels:
        """Everything that can edit a picture."""
        return listed(gateway.erasers)

    @router.get("/models/{name:path}", **openapi.MODEL)
    async def model(name: str) -> OpenAIModel:
        """One model, by its name or an alias."""
        return of_card(await gateway.model(name))

    return router
