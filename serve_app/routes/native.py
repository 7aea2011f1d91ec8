"""The native API: inpaint, models, cancelling."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from inpaint.codecs import Format
from inpaint.deadlines import Deadline
from inpaint.errors import UnknownRequestError
from serve_app import answers, bodies, openapi
from serve_app.accounts import account_of
from serve_app.bodies import Body
from serve_app.event_stream import EVENTS, stream, take_stream_fields
from serve_app.gateway import Gateway
from serve_app.native_events import NativeWords
from serve_app.orders import read_order
from serve_app.requests import JSON, deadline_of, wanted_answer
from serve_app.schemas import Cancelled, ModelCard, ModelList, OcrAnswer, RegionCard


def native_routes(gateway: Gateway) -> APIRouter:
    """Routes over `gateway`."""
    router = APIRouter()

    @router.post("/inpaint", **openapi.INPAINT)
    async def inpaint(request: Request) -> Response:
        """Erase what the mask marks and fill the hole.

        The answer is the picture itself, JSON with the picture as base64, or a stream of events,
        as the `Accept` header says. Pixels outside the mask stay the input's.
        """
        answer, account = wanted_answer(request, EVENTS), account_of(request.scope)
        deadline, body = await _received(request, gateway)
        if answer == EVENTS:
            previews = take_stream_fields(body).previews
            run = partial(gateway.inpaint, account, body, deadline, read_order)
            words = NativeWords(account.request_id)
            return await stream(run, previews, account, gateway.off_loop, words)
        _choose_format(body, answer)
        result = await gateway.inpaint(account, body, deadline)
        return await gateway.off_loop(answers.of_result, result, account.request_id, answer == JSON)

    @router.post("/ocr", **openapi.OCR)
    async def ocr(request: Request) -> OcrAnswer:
        """Find the text of a picture: where it is, what it says, how sure that is."""
        account = account_of(request.scope)
        deadline, body = await _received(request, gateway)
        (height, width), regions = await gateway.find_text(account, body, deadline)
        return OcrAnswer(
            width=width,
            height=height,
            regions=tuple(RegionCard.of(region) for region in regions),
            request_id=account.request_id,
            timings_ms=account.timings.stages,
        )

    @router.post("/remove-text", **openapi.REMOVE_TEXT)
    async def remove_text(request: Request) -> Response:
        """Find the text of a picture, erase it, and check that it is gone.

        What no rule keeps is erased; pixels outside the mask stay the input's. The answer is the
        picture, or JSON with the lines, the mask and the picture, as the `Accept` header says.
        """
        answer, account = wanted_answer(request), account_of(request.scope)
        deadline, body = await _received(request, gateway)
        _choose_format(body, answer)
        done = await gateway.remove_text(account, body, deadline)
        return await gateway.off_loop(answers.of_text, done, account.request_id, answer == JSON)

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


async def _received(request: Request, gateway: Gateway) -> tuple[Deadline, Body]:
    """The request's deadline, which begins now, and its body."""
    deadline = deadline_of(request, gateway.config)
    with account_of(request.scope).timings.stage("receive"):
        content = await bodies.read(request, gateway.max_body_bytes)
        return deadline, await gateway.parse(request.headers.get("content-type", ""), content)


def _choose_format(body: Body, answer: Format | str | None) -> None:
    """Let the Accept header choose the format where no field does."""
    if answer not in (None, JSON):
        body.fields.setdefault("format", str(answer))
