"""Finished requests to HTTP responses. Base64 of a large picture takes time: call on a thread."""

import base64

import cv2
from fastapi.responses import Response

from inpaint.arrays import Mask
from inpaint.jobs import Result
from inpaint.text_rules import Fate
from serve_app.requests import JSON
from serve_app.schemas import InpaintAnswer, JudgedCard, RemoveTextAnswer
from serve_app.text_removal import TextResult


def of_result(result: Result, request_id: str, as_json: bool) -> Response:
    """The answer of POST /inpaint."""
    if not as_json:
        return Response(
            result.data, media_type=result.format.media_type, headers=headers_of(result)
        )
    answer = inpaint_answer(result, request_id)
    return Response(answer.model_dump_json(), media_type=JSON, headers=headers_of(result))


def inpaint_answer(result: Result, request_id: str) -> InpaintAnswer:
    """A finished request as JSON has it."""
    height, width = result.size
    return InpaintAnswer(
        image=_base64(result.data),
        format=result.format,
        width=width,
        height=height,
        model=result.model,
        seed=result.seed,
        tiles=result.tiles,
        request_id=request_id,
        timings_ms=result.timings.stages,
    )


def of_text(done: TextResult, request_id: str, as_json: bool) -> Response:
    """The answer of POST /remove-text; a dry run has no picture, so it is always JSON."""
    result = done.result
    headers = _text_headers(done) | (headers_of(result) if result else {})
    if result and not as_json:
        return Response(result.data, media_type=result.format.media_type, headers=headers)
    height, width = done.mask.shape
    removed = _removed(done)
    answer = RemoveTextAnswer(
        image=_base64(result.data) if result else None,
        format=result.format if result else None,
        width=width,
        height=height,
        model=done.model,
        found=len(done.judged),
        removed=removed,
        kept=len(done.judged) - removed,
        remaining=len(done.remaining),
        regions=tuple(JudgedCard.judged(entry) for entry in done.judged),
        mask=_base64(_png(done.mask)),
        request_id=request_id,
        timings_ms=done.timings.stages,
    )
    return Response(answer.model_dump_json(), media_type=JSON, headers=headers)


def headers_of(result: Result) -> dict[str, str]:
    """What every answer with a picture tells of how it was made."""
    return {
        "X-Model": result.model,
        "X-Seed": str(result.seed),
    }


def _text_headers(done: TextResult) -> dict[str, str]:
    removed = _removed(done)
    return {
        "X-Text-Found": str(len(done.judged)),
        "X-Text-Removed": str(removed),
        "X-Text-Kept": str(len(done.judged) - removed),
        "X-Text-Remaining": str(len(done.remaining)),
    }


def _removed(done: TextResult) -> int:
    return sum(entry.fate is Fate.REMOVED for entry in done.judged)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _png(mask: Mask) -> bytes:
    return cv2.imencode(".png", mask)[1].tobytes()
