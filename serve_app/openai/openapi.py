"""What the OpenAPI document says of the routes under /v1.

Every example can be sent as it stands; a test does. Files of a form are given as base64 there.
"""

import base64
from typing import Any

import numpy as np

from inpaint import codecs
from inpaint.codecs import Format, Metadata
from serve_app.event_stream import EVENTS
from serve_app.openai.answers import EditAnswer
from serve_app.openai.fields import EditFields
from serve_app.openapi import EXAMPLE_IMAGE, FORM, TIMEOUT, JsonSchema, Route, properties_of
from serve_app.openapi import MODEL as NATIVE_MODEL
from serve_app.requests import JSON

_ERROR: JsonSchema = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string", "example": "invalid_request_error"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"], "example": "bad-params"},
            },
        }
    },
}
_MEANINGS = {
    400: "The body, a picture, a field or the mask does not fit.",
    401: "No API key, or none that is known.",
    404: "No such model.",
    409: "Cancelled through DELETE /requests/{id}.",
    413: "The body or the picture is too large.",
    415: "The body is neither JSON nor multipart.",
    429: "The API key's limit; see Retry-After.",
    500: "A defect of the server.",
    503: "Not now: busy, or the model's weights are missing. See Retry-After.",
    504: "The time budget ran out.",
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {JSON: {"schema": _ERROR}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


def _example_mask() -> str:
    """A 32x24 px mask, transparent in the middle; PNG as base64."""
    alpha = np.full((24, 32), 255, np.uint8)
    alpha[8:16, 12:20] = 0
    black = np.zeros((24, 32, 3), np.uint8)
    data = codecs.encode(black, alpha, Format.PNG, Metadata(), 100)
    return base64.b64encode(data).decode("ascii")


def _data_url(encoded: str) -> dict[str, str]:
    return {"image_url": f"data:image/png;base64,{encoded}"}


_IMAGE = "The picture. `image[]` and a list of one are taken as well."
_MASK = "Of the same size: edited where its alpha is 0. Absent: where the picture's own alpha is 0."
_EXAMPLE_MASK = _example_mask()
_BINARY: JsonSchema = {"type": "string", "format": "binary"}
_LINK: JsonSchema = {
    "type": "object",
    "properties": {"image_url": {"type": "string", "description": "A data: URL."}},
}
_STREAM_EXAMPLE = """event: image_edit.partial_image
data: {"type": "image_edit.partial_image", "b64_json": "iVBORw0KGgo=", "created_at": 1790000000, \
"size": "32x24", "output_format": "png", "quality": "auto", "background": "auto", \
"partial_image_index": 0}

event: image_edit.completed
data: {"type": "image_edit.completed", "b64_json": "iVBORw0KGgo=", "created_at": 1790000001, \
"size": "32x24", "output_format": "png", "quality": "auto", "background": "auto", \
"usage": {"input_tokens": 0, "input_tokens_details": {"image_tokens": 0, "text_tokens": 0}, \
"output_tokens": 0, "total_tokens": 0}}

"""


def _content() -> JsonSchema:
    fields = properties_of((EditFields,))
    form = {
        "image": _BINARY | {"description": _IMAGE},
        "mask": _BINARY | {"description": _MASK},
    }
    links = {
        "images": {"type": "array", "maxItems": 1, "items": _LINK, "description": _IMAGE},
        "mask": _LINK | {"description": _MASK},
    }
    words = {"model": "cv2", "prompt": "nothing but the wall"}
    return {
        FORM: {
            "schema": {"type": "object", "required": ["image"], "properties": form | fields},
            "example": {"image": EXAMPLE_IMAGE, "mask": _EXAMPLE_MASK, **words},
        },
        JSON: {
            "schema": {"type": "object", "required": ["images"], "properties": links | fields},
            "example": {
                "images": [_data_url(EXAMPLE_IMAGE)],
                "mask": _data_url(_EXAMPLE_MASK),
                **words,
            },
        },
    }


EDIT: Route = {
    "responses": {
        200: {
            "description": "The pictures as base64, or events where `stream` was sent.",
            "model": EditAnswer,
            "content": {EVENTS: {"schema": {"type": "string"}, "example": _STREAM_EXAMPLE}},
        },
        **_errors(400, 401, 404, 409, 413, 415, 429, 500, 503, 504),
    },
    "openapi_extra": {
        "requestBody": {"required": True, "content": _content()},
        "parameters": [TIMEOUT],
    },
}
MODELS: Route = {"responses": _errors(401, 500)}
MODEL: Route = {**NATIVE_MODEL, "responses": _errors(401, 404, 503)}
