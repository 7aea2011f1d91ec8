"""Request bodies: read within a limit, then taken apart into files and fields.

Reading happens on the event loop, taking apart on a pixel thread: base64 and multipart parsing of
a large picture take milliseconds that other requests should not wait for.
"""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from pydantic_core import from_json
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from inpaint.errors import (
    BodyTooLargeError,
    ParamsError,
    RequestError,
    UnsupportedMediaError,
)
from inpaint.settings import MiB

Value = str | int | float | bool | None | list[object] | dict[str, object]
MAX_FIELDS = 100
"""Parts of a multipart body; a request has far fewer."""


@dataclass(slots=True)
class Body:
    """A parsed body."""

    files: dict[str, bytes | memoryview] = field(default_factory=dict)
    fields: dict[str, Value] = field(default_factory=dict)
    file_names: dict[str, str] = field(default_factory=dict, compare=False)
    """What a form calls its files, by field; only those that it names."""
    repeated: set[str] = field(default_factory=set, compare=False)
    """Files that a form has more than once; the last one of each is in `files`."""

    def take(self, name: str, what: str) -> bytes | memoryview:
        """The file called `name`, removed; ParamsError when it was not sent or is empty."""
        data = self.files.pop(name, None)
        if not data:
            raise ParamsError(f"The field '{name}' is missing: send {what}.", {"param": name})
        return data

    def take_only(self, name: str, what: str) -> bytes | memoryview:
        """The file called `name`; ParamsError when another one was sent with it."""
        data = self.take(name, what)
        if self.files:
            raise ParamsError(f"This route takes no field {', '.join(map(repr, self.files))}.")
        return data


async def read(request: Request, max_bytes: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLargeError: it is, or says that it is, larger than `max_bytes`.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def parse(content_type: str, body: bytes, files: frozenset[str]) -> Body:
    """Take a JSON or multipart body apart.

    Args:
        content_type: the header's value.
        body: as received.
        files: the names of fields that hold files; base64 or data URLs in JSON.

    Raises:
        UnsupportedMediaError: the content type is neither.
        RequestError: the body is not what its content type says.
        ParamsError: a file's base64 is wrong.
    """
    kind, options = parse_options_header(content_type)
    if kind == b"application/json":
        return _parse_json(body, files)
    if kind == b"multipart/form-data" and options.get(b"boundary"):
        return _parse_multipart(body, options[b"boundary"], files)
    raise UnsupportedMediaError(
        "The body must be multipart/form-data with files, or application/json with base64."
    )


def _too_large(max_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is larger than this server's {max_bytes // MiB} MiB.")


def load_json(body: bytes) -> object:
    """What a JSON body says; RequestError when it is none. NaN and Infinity are none."""
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise RequestError("The body is not valid JSON.") from error


def _parse_json(body: bytes, files: frozenset[str]) -> Body:
    content = load_json(body)
    if not isinstance(content, dict):
        raise RequestError("The body must be a JSON object with the fields of the request.")
    parsed = Body()
    for name, value in content.items():
        if name in files and value is not None:
            parsed.files[name] = from_base64(name, value)
        elif name not in files:
            parsed.fields[name] = value
    return parsed


def from_base64(name: str, value: object) -> bytes:
    """The bytes of base64 with or without a `data:` prefix and line breaks.

    Raises:
        ParamsError: it is not that; names the field.
    """
    if not isinstance(value, str):
        raise ParamsError(
            f"The field '{name}' must be a string of base64, or a data: URL.", {"param": name}
        )
    scheme = value[:6].lower()
    if scheme.startswith(("http:", "https:")):
        raise ParamsError(
            f"The field '{name}' is a link; no link is fetched. Send the bytes.", {"param": name}
        )
    start = value.find(",") + 1 if scheme.startswith("data:") else 0
    try:
        return binascii.a2b_base64(value[start:] if start else value, strict_mode=True)
    except ValueError:
        pass
    try:  # line breaks are legal in MIME's base64, but not in strict mode
        return binascii.a2b_base64("".join(value[start:].split()), strict_mode=True)
    except ValueError as error:
        raise ParamsError(f"The field '{name}' is not valid base64.", {"param": name}) from error


class _Parts:
    """Collects what the multipart parser finds; the pixels stay in the body's own buffer."""

    def __init__(self, body: bytes, files: frozenset[str]) -> None:
        self.parsed = Body()
        self.is_finished = False
        self._view = memoryview(body)
        self._files = files
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._spans: list[tuple[int, int]] = []
        self._count = 0

    def callbacks(self) -> Mapping[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._spans.append((start, end)),
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._count += 1
        if self._count > MAX_FIELDS:
            raise RequestError(f"The body has more than {MAX_FIELDS} parts.")
        self._disposition = b""
        self._spans = []

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if not name:
            raise RequestError("A part of the multipart body has no name.")
        if name in self._files:
            if name in self.parsed.files:
                self.parsed.repeated.add(name)
            self.parsed.files[name] = self._content()
            if b"filename" in options:
                self.parsed.file_names[name] = options[b"filename"].decode("utf-8", "replace")
        else:
            self.parsed.fields[name] = bytes(self._content()).decode("utf-8", "replace")

    def _content(self) -> bytes | memoryview:
        """The part's bytes: one slice of the body where the parser saw them in one piece."""
        spans = self._spans
        if all(before[1] == after[0] for before, after in pairwise(spans)):
            return self._view[spans[0][0] : spans[-1][1]] if spans else b""
        return b"".join(self._view[start:end] for start, end in spans)

    def _finish(self) -> None:
        self.is_finished = True


def _parse_multipart(body: bytes, boundary: bytes, files: frozenset[str]) -> Body:
    parts = _Parts(body, files)
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RequestError("The multipart body is malformed.") from error
    if not parts.is_finished:
        raise RequestError("The multipart body breaks off before its last boundary.")
    return parts.parsed
