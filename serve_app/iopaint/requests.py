"""Bodies of /api/v1, read as FastAPI reads them there. Runs on a thread: base64 takes time."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header

from inpaint.errors import ParamsError, RequestError
from inpaint.examples import EXAMPLE
from serve_app import bodies
from serve_app.bodies import Body
from serve_app.iopaint.errors import schema_error, schema_errors
from serve_app.iopaint.fields import IOPaintFields

Content = TypeVar("Content", bound=BaseModel)

FILE = "file"
"""The only part of IOPaint's forms."""


def read_json(content_type: str, body: bytes, model: type[Content]) -> Content:
    """A JSON body; one without a content type counts as JSON.

    Raises:
        RequestValidationError: it is no JSON, or does not fit `model`; 422.
    """
    if not body:
        raise schema_error("missing", (), "Field required")
    kind = parse_options_header(content_type)[0]
    if kind and kind != b"application/json" and not kind.endswith(b"+json"):
        raise schema_error(
            "model_attributes_type",
            (),
            "Input should be a valid dictionary or object to extract fields from",
        )
    try:
        return model.model_validate(bodies.load_json(body), from_attributes=True)
    except RequestError as error:
        raise schema_error("json_invalid", (), "JSON decode error") from error
    except ValidationError as error:
        raise schema_errors(error) from error


def read_inpaint(content_type: str, body: bytes) -> tuple[IOPaintFields, Body]:
    """The fields of a request, and its pictures as files.

    Raises:
        RequestValidationError: see `read_json`.
        ParamsError: a picture is no base64.
    """
    fields = read_json(content_type, body, IOPaintFields)
    pictures = {"image": fields.image, "mask": fields.mask}
    files = {name: bodies.from_base64(name, text) for name, text in pictures.items() if text}
    if example := fields.paint_by_example_example_image:
        files[EXAMPLE] = _example(example)
    return fields, Body(dict(files), {"model": fields.model})


def _example(text: str) -> bytes:
    """The example picture; what is no base64 goes on as it is, since most models never look."""
    try:
        return bodies.from_base64(EXAMPLE, text)
    except ParamsError:
        return text.encode(errors="replace")


def read_file(content_type: str, body: bytes) -> tuple[str, bytes | memoryview]:
    """Name and bytes of the file in a form.

    Raises:
        RequestValidationError: there is none; 422.
        RequestError: the form is malformed, or names no boundary.
    """
    is_form = parse_options_header(content_type)[0] == b"multipart/form-data"
    form = bodies.parse(content_type, body, frozenset({FILE})) if is_form else Body()
    if FILE not in form.file_names:
        raise schema_error("missing", (FILE,), "Field required")
    return form.file_names[FILE], form.files[FILE]
