"""What the OpenAPI document says of each route that FastAPI cannot see for itself.

Every example can be sent as it stands; a test does.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from inpaint import codecs
from inpaint.codecs import Format, Metadata
from inpaint.examples import EXAMPLE
from inpaint.specs import Kind, Spec
from inpaint.texts import ReadOptions
from serve_app.event_stream import EVENTS, StreamFields
from serve_app.orders import OPTIONS, PARAMS, InpaintFields, RemoveTextFields, SdSeed
from serve_app.problems import MEDIA_TYPE
from serve_app.requests import JSON, TIMEOUT_HEADER
from serve_app.schemas import InpaintAnswer, RemoveTextAnswer

Route = dict[str, Any]
JsonSchema = dict[str, Any]

FORM = "multipart/form-data"

_PROBLEM: JsonSchema = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "example": "/problems/mask-mismatch"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what would be right."},
    },
}
TIMEOUT: JsonSchema = {
    "name": TIMEOUT_HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "number", "exclusiveMinimum": 0},
    "description": "The request's time budget in seconds, within the server's.",
}
PICTURES = {
    format_.media_type: {"schema": {"type": "string", "format": "binary"}} for format_ in Format
}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    meanings = {
        400: "The body or a picture in it cannot be read.",
        404: "No such model or request.",
        406: "Accept names nothing that this route answers.",
        409: "Cancelled through DELETE /requests/{id}.",
        413: "The body or the picture is too large.",
        415: "The body is neither JSON nor multipart.",
        422: "A parameter or the mask does not fit.",
        500: "A defect of the server.",
        503: "Not now: busy, or the model's weights are missing. See Retry-After.",
        504: "The time budget ran out.",
    }
    content = {MEDIA_TYPE: {"schema": _PROBLEM}}
    return {status: {"description": meanings[status], "content": content} for status in statuses}


def _example_pictures() -> tuple[str, str]:
    """A 32x24 px gradient with a dark square, and the mask of the square; PNG as base64."""
    rows, columns = np.mgrid[0:24, 0:32].astype(np.uint8)
    image = np.stack([rows * 8, columns * 6, 255 - columns * 4], axis=-1)
    mask = np.zeros((24, 32), np.uint8)
    mask[8:16, 12:20] = 255
    image[mask > 0] = 0
    files = (image, np.repeat(mask[..., None], 3, axis=-1))
    encoded = [codecs.encode(file, None, Format.PNG, Metadata(), 100) for file in files]
    return base64.b64encode(encoded[0]).decode(), base64.b64encode(encoded[1]).decode()


def properties_of(models: Sequence[type[BaseModel]]) -> JsonSchema:
    """The fields of all `models` as one JSON schema's properties."""
    properties: JsonSchema = {}
    definitions: JsonSchema = {}
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        definitions |= schema.pop("$defs", {})
        properties |= schema["properties"]
    properties.pop("kind", None)
    return {name: _inlined(entry, definitions) for name, entry in properties.items()}


def _inlined(schema: Any, definitions: JsonSchema) -> Any:
    """`schema` with references to enums replaced by what they refer to."""
    if isinstance(schema, list):
        return [_inlined(entry, definitions) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return definitions[schema["$ref"].rsplit("/", 1)[-1]] | rest
    return {key: _inlined(value, definitions) for key, value in schema.items()}


def _body(files: Mapping[str, str], fields: JsonSchema, picture: JsonSchema) -> JsonSchema:
    pictures = {name: picture | {"description": what} for name, what in files.items()}
    required = [name for name in files if name != EXAMPLE]  # which most models do not read
    return {"type": "object", "required": required, "properties": pictures | fields}


def _post(
    files: Mapping[str, str],
    models: Sequence[type[Spec]],
    examples: Mapping[str, JsonSchema],
    answer: JsonSchema,
    *problems: int,
) -> Route:
    """A route that takes pictures, as files of a form or as base64 in JSON.

    Args:
        files: name and description of each picture.
        models: what the other fields are.
        examples: bodies by media type, each under `example` or `examples`. In those of a form,
            files are given as base64.
        answer: FastAPI's description of the good answer.
        problems: statuses beside those that every such route has.
    """
    fields = properties_of(models)
    form = _body(files, fields, {"type": "string", "format": "binary"})
    base64_body = _body(files, fields, {"type": "string", "format": "byte"})
    content = {
        FORM: {"schema": form, **examples.get(FORM, {})},
        JSON: {"schema": base64_body, **examples[JSON]},
    }
    return {
        "responses": {200: answer, **_problems(400, 409, 413, 415, 422, 500, 503, 504, *problems)},
        "openapi_extra": {
            "requestBody": {"required": True, "content": content},
            "parameters": [TIMEOUT],
        },
    }


EXAMPLE_IMAGE, EXAMPLE_MASK = _example_pictures()
_PICTURE = {"image": "The picture: PNG, JPEG, WebP, BMP, TIFF or GIF."}
_PICTURES_OF_INPAINT = _PICTURE | {
    "mask": "Of the same size; white is repainted.",
    EXAMPLE: "What the hole should show, of any size; for models that list it in `parameters`.",
}


def _inpaint_example(summary: str, **fields: str | int | float | bool) -> JsonSchema:
    pictures = {"image": EXAMPLE_IMAGE, "mask": EXAMPLE_MASK}
    return {"summary": summary, "value": pictures | fields}


_INPAINT_EXAMPLES: dict[str, JsonSchema] = {
    JSON: {
        "examples": {
            "erase": _inpaint_example(
                "A model without a prompt", model="cv2", cv2_flag="INPAINT_TELEA"
            ),
            "controlnet": _inpaint_example(
                "A prompt, kept to the picture's edges by a ControlNet",
                model="runwayml/stable-diffusion-inpainting",
                prompt="a red bench",
                enable_controlnet=True,
                controlnet_method="lllyasviel/control_v11p_sd15_canny",
                controlnet_conditioning_scale=0.5,
            ),
            "brushnet": _inpaint_example(
                "A plain checkpoint, told of the mask by a BrushNet",
                model="SG161222/RealVisXL_V5.0",
                prompt="a red bench",
                enable_brushnet=True,
                brushnet_method="Regulus0725/random_mask_brushnet_ckpt_sdxl_regulus_v1",
                brushnet_conditioning_scale=0.9,
            ),
        }
    },
    FORM: {
        "examples": {
            "paint-by-example": _inpaint_example(
                "What another picture shows",
                model="Fantasy-Studio/Paint-by-Example",
                sd_steps=20,
                **{EXAMPLE: EXAMPLE_IMAGE},
            )
        }
    },
}

_STREAM_EXAMPLE = """event: started
data: {"model": "NAME", "seed": 7, "request_id": "d3b2"}

event: step
data: {"step": 1, "total": 2, "elapsed_ms": 912.4}

event: step
data: {"step": 2, "total": 2, "elapsed_ms": 1377.0}

event: result
data: {"image": "iVBORw0KGgo=", "format": "png", "width": 32, "height": 24, "model": "NAME", \
"seed": 7, "tiles": 1, "request_id": "d3b2", "timings_ms": {"models": 1391.2}}

"""
_STREAM = {
    EVENTS: {
        "schema": {
            "type": "string",
            "description": "Events: started, step (models with a prompt), restarted, result as "
            "JSON would be, error as a problem. docs/progress.md describes them.",
        },
        "example": _STREAM_EXAMPLE,
    }
}
INPAINT = _post(
    _PICTURES_OF_INPAINT,
    (InpaintFields, *OPTIONS.values(), *PARAMS.values(), SdSeed, StreamFields),
    _INPAINT_EXAMPLES,
    {
        "description": "The picture; X-Model, X-Seed and Server-Timing tell how.",
        "content": PICTURES | _STREAM,
        "model": InpaintAnswer,
    },
    404,
    406,
)
REMOVE_TEXT = _post(
    _PICTURE,
    (RemoveTextFields, OPTIONS[Kind.ERASE], PARAMS[Kind.ERASE]),
    {JSON: {"example": {"image": EXAMPLE_IMAGE, "model": "cv2", "keep": "^Total"}}},
    {
        "description": "The picture; X-Text-Found, -Removed, -Kept and -Remaining count lines.",
        "content": PICTURES,
        "model": RemoveTextAnswer,
    },
    404,
    406,
)
OCR = _post(
    _PICTURE,
    (ReadOptions,),
    {JSON: {"example": {"image": EXAMPLE_IMAGE}}},
    {"description": "Lines of text."},
)
MODELS: Route = {"responses": _problems(500)}
MODEL: Route = {
    "responses": _problems(404, 503),
    "openapi_extra": {
        "parameters": [
            {
                "name": "name",
                "in": "path",
                "required": True,
                "schema": {"type": "string"},
                "example": "cv2",
            }
        ]
    },
}
CANCEL: Route = {"responses": _problems(404)}
HEALTHZ: Route = {}
READYZ: Route = {"responses": {503: {"description": "A family cannot take requests."}}}
