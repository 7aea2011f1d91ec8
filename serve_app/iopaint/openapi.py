"""What the OpenAPI document says of the routes under /api/v1.

Every example can be sent as it stands; a test does. The file of a form is given as base64 there.
"""

from typing import Any

from fastapi.responses import FileResponse
from pydantic import BaseModel

from serve_app.iopaint.fields import IOPaintFields
from serve_app.iopaint.masks import AdjustMask
from serve_app.iopaint.models import SwitchModel
from serve_app.iopaint.plugins import TEXT, RunPlugin, SwitchPluginModel
from serve_app.iopaint.requests import FILE
from serve_app.openapi import (
    EXAMPLE_IMAGE,
    EXAMPLE_MASK,
    FORM,
    PICTURES,
    TIMEOUT,
    JsonSchema,
    Route,
    properties_of,
)
from serve_app.requests import JSON

_ERROR: JsonSchema = {
    "type": "object",
    "properties": {
        "error": {"type": "string", "description": "The error's name."},
        "detail": {"type": "string", "description": "What is wrong, and what would be right."},
        "body": {"type": "string", "description": "Always empty."},
        "errors": {"type": "string", "description": "As detail; IOPaint's page shows this."},
    },
}
_FINDINGS: JsonSchema = {
    "type": "object",
    "properties": {
        "detail": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "loc": {
                        "type": "array",
                        "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    },
                    "msg": {"type": "string"},
                },
            },
        }
    },
}
_MEANINGS = {
    400: "The picture cannot be read, or the mask is of another size.",
    404: "No such model or file.",
    409: "Cancelled through DELETE /requests/{id}.",
    413: "The body or the picture is too large.",
    422: "The body does not fit its schema (a list of findings), or a value is out of range.",
    500: "A defect of the server.",
    503: "Not now: busy, or the model's weights are missing. See Retry-After.",
    504: "The time budget ran out.",
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    def schema(status: int) -> JsonSchema:
        return {"oneOf": [_ERROR, _FINDINGS]} if status == 422 else _ERROR

    return {
        status: {"description": _MEANINGS[status], "content": {JSON: {"schema": schema(status)}}}
        for status in statuses
    }


def _json_body(model: type[BaseModel], example: JsonSchema) -> JsonSchema:
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    schema = {"type": "object", "required": required, "properties": properties_of([model])}
    return {"required": True, "content": {JSON: {"schema": schema, "example": example}}}


def _file_body(example: str) -> JsonSchema:
    schema = {
        "type": "object",
        "required": [FILE],
        "properties": {FILE: {"type": "string", "format": "binary"}},
    }
    content = {"schema": schema, "example": {FILE: example}}
    return {"required": True, "content": {FORM: content}}


def _picture(what: str, content: JsonSchema) -> dict[str, Any]:
    return {"description": what, "content": content}


_PNG = {"image/png": PICTURES["image/png"]}
_JPEG = {"image/jpeg": PICTURES["image/jpeg"]}
_PLUGIN_BODY = _json_body(RunPlugin, {"name": TEXT, "image": EXAMPLE_IMAGE})

INPAINT: Route = {
    "response_model": None,
    "responses": {
        200: _picture("The picture in the format that came in; X-Seed is the seed.", PICTURES),
        **_errors(400, 404, 409, 413, 422, 500, 503, 504),
    },
    "openapi_extra": {
        "requestBody": _json_body(IOPaintFields, {"image": EXAMPLE_IMAGE, "mask": EXAMPLE_MASK}),
        "parameters": [TIMEOUT],
    },
}
SERVER_CONFIG: Route = {}
MODEL: Route = {}
SWITCH_MODEL: Route = {
    "responses": _errors(404, 413, 422, 503),
    "openapi_extra": {"requestBody": _json_body(SwitchModel, {"name": "cv2"})},
}
SAMPLERS: Route = {}
ADJUST_MASK: Route = {
    "response_model": None,
    "responses": {200: _picture("The mask.", _PNG), **_errors(400, 413, 422)},
    "openapi_extra": {
        "requestBody": _json_body(
            AdjustMask, {"mask": EXAMPLE_MASK, "operate": "expand", "kernel_size": 3}
        )
    },
}
GEN_INFO: Route = {
    "responses": _errors(400, 413, 422),
    "openapi_extra": {"requestBody": _file_body(EXAMPLE_IMAGE)},
}
INPUT_IMAGE: Route = {
    "response_model": None,
    "response_class": FileResponse,
    "responses": {200: _picture("The picture.", PICTURES), **_errors(404)},
}
SAVE_IMAGE: Route = {
    "responses": _errors(400, 413, 422, 503),
    "openapi_extra": {"requestBody": _file_body(EXAMPLE_IMAGE)},
}
GEN_MASK: Route = {
    "response_model": None,
    "responses": {
        200: _picture("The mask.", _PNG),
        **_errors(400, 409, 413, 422, 500, 503, 504),
    },
    "openapi_extra": {"requestBody": _PLUGIN_BODY, "parameters": [TIMEOUT]},
}
GEN_IMAGE: Route = GEN_MASK | {
    "responses": {
        200: _picture("The picture.", _PNG),
        **_errors(400, 409, 413, 422, 500, 503, 504),
    },
}
SWITCH_PLUGIN_MODEL: Route = {
    "responses": _errors(413, 422, 503),
    "openapi_extra": {
        "requestBody": _json_body(
            SwitchPluginModel, {"plugin_name": TEXT, "model_name": "pp-ocrv6-small"}
        )
    },
}
MEDIAS: Route = {"responses": _errors(404, 422, 503)}
MEDIA_FILE: Route = {
    "response_model": None,
    "responses": {200: _picture("The picture.", PICTURES), **_errors(400, 404, 413, 422)},
}
MEDIA_THUMBNAIL: Route = {
    "response_model": None,
    "responses": {
        200: _picture("A JPEG; X-Width and X-Height are its size in pixels.", _JPEG),
        **_errors(400, 404, 413, 422),
    },
}
