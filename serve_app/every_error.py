"""The errors of all APIs, each in its own shape."""

from serve_app.error_shapes import ErrorShapes
from serve_app.iopaint.errors import PREFIX as IOPAINT
from serve_app.iopaint.errors import IOPaintErrors
from serve_app.openai.errors import PREFIX as OPENAI
from serve_app.openai.errors import OpenAIErrors
from serve_app.problems import Problems


def error_shapes() -> ErrorShapes:
    """What every application and proxy answers with."""
    return ErrorShapes(Problems(), {IOPAINT: IOPaintErrors(), OPENAI: OpenAIErrors()})
