"""The events of POST /inpaint; see docs/progress.md."""

import base64
from typing import Any

import cv2

from inpaint.arrays import Image
from inpaint.errors import InpaintError
from inpaint.jobs import Order, Result
from serve_app.answers import inpaint_answer
from serve_app.event_stream import Told, event, written
from serve_app.problems import problem_of, unknown_problem

PREVIEW_QUALITY = 70
"""Of the JPEG; a preview has an eighth of the picture's sides."""


class NativeWords:
    """The Words of POST /inpaint.

    Args:
        request_id: of the request.
    """

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def started(self, order: Order) -> bytes:
        """See Words."""
        facts = {"model": order.spec.name, "seed": order.seed, "request_id": self._request_id}
        return event("started", facts)

    def told(self, told: Told) -> bytes:
        """See Words."""
        facts: dict[str, Any] = {"elapsed_ms": round(told.elapsed_ms, 1)}
        if told.step is None:
            return event("restarted", facts)
        facts = {"step": told.step.number, "total": told.step.total, **facts}
        if told.step.preview is not None:
            facts["preview"] = _jpeg(told.step.preview)
        return event("step", facts)

    def finished(self, result: Result) -> bytes:
        """See Words."""
        return written("result", inpaint_answer(result, self._request_id).model_dump_json())

    def failed(self, error: InpaintError | None) -> bytes:
        """See Words."""
        return event("error", problem_of(error) if error else unknown_problem(self._request_id))


def _jpeg(image: Image) -> str:
    quality = [cv2.IMWRITE_JPEG_QUALITY, PREVIEW_QUALITY]
    data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1]
    return base64.b64encode(data.tobytes()).decode("ascii")
