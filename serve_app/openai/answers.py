"""What POST /v1/images/edits answers. Base64 of a large picture takes time: call on a thread."""

import base64
import time
from collections.abc import Sequence
from math import ceil

from pydantic import Field

from inpaint import codecs
from inpaint.arrays import Image
from inpaint.codecs import Metadata
from inpaint.errors import InpaintError
from inpaint.jobs import Order, Result
from inpaint.specs import Spec
from serve_app.event_stream import Told, event, written
from serve_app.openai.edits import Edit
from serve_app.openai.errors import body_of, defect_body
from serve_app.openai.fields import AUTO, words_of

PARTIAL, COMPLETED = "image_edit.partial_image", "image_edit.completed"


class TokenDetails(Spec):
    """OpenAI's; see Usage."""

    image_tokens: int = 0
    text_tokens: int = 0


class Usage(Spec):
    """OpenAI's clients expect one. Nothing here is counted in tokens, so all are 0."""

    input_tokens: int = 0
    input_tokens_details: TokenDetails = TokenDetails()
    output_tokens: int = 0
    total_tokens: int = 0


class ImageData(Spec):
    """One picture."""

    b64_json: str = Field(description="The file as base64.")


class EditAnswer(Spec):
    """POST /v1/images/edits without `stream`."""

    created: int = Field(description="Seconds since 1970.")
    data: tuple[ImageData, ...]
    output_format: str
    size: str = Field(description="WIDTHxHEIGHT in pixels.")
    usage: Usage = Usage()


def answer_of(results: Sequence[Result]) -> str:
    """The body for finished pictures, as JSON."""
    encoded = {id(result): _base64(result.data) for result in results}  # some may be the same
    first = results[0]
    answer = EditAnswer(
        created=int(time.time()),
        data=tuple(ImageData(b64_json=encoded[id(result)]) for result in results),
        output_format=first.format,
        size=words_of(first.size),
    )
    return answer.model_dump_json()


class _Event(Spec):
    """What both events have in common. No quality and no background can be chosen here."""

    type: str
    b64_json: str
    created_at: int
    size: str
    output_format: str
    quality: str = AUTO
    background: str = AUTO


class PartialImage(_Event):
    """A coarse picture of what the model has painted so far."""

    type: str = PARTIAL
    partial_image_index: int


class Completed(_Event):
    """The result."""

    type: str = COMPLETED
    usage: Usage = Usage()


class EditWords:
    """The Words of POST /v1/images/edits.

    Partial pictures are spread evenly over the steps. One that was sent is not sent again where a
    lost replica makes the steps begin anew.

    Args:
        edit: what was asked for.
        request_id: of the request.
    """

    def __init__(self, edit: Edit, request_id: str) -> None:
        self._edit = edit
        self._request_id = request_id
        self._partials = 0

    def started(self, order: Order) -> bytes:
        """See Words."""
        return b""

    def told(self, told: Told) -> bytes:
        """See Words."""
        step, most = told.step, self._edit.fields.partial_images
        if step is None or step.preview is None or self._partials >= most:
            return b""
        if step.number < ceil(step.total * (self._partials + 1) / (most + 1)):
            return b""
        partial = PartialImage(
            b64_json=_base64(self._encoded(step.preview)),
            created_at=int(time.time()),
            size=words_of(self._edit.size),
            output_format=self._edit.fields.format,
            partial_image_index=self._partials,
        )
        self._partials += 1
        return written(PARTIAL, partial.model_dump_json())

    def finished(self, result: Result) -> bytes:
        """See Words."""
        completed = Completed(
            b64_json=_base64(result.data),
            created_at=int(time.time()),
            size=words_of(result.size),
            output_format=result.format,
        )
        return written(COMPLETED, completed.model_dump_json())

    def failed(self, error: InpaintError | None) -> bytes:
        """See Words."""
        body = body_of(error) if error else defect_body(self._request_id)
        return event("error", {"type": "error", **body})

    def _encoded(self, preview: Image) -> bytes:
        fields = self._edit.fields
        return codecs.encode(preview, None, fields.format, Metadata(), fields.encoder_quality)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
