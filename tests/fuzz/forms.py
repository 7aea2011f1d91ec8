"""Well-formed requests around what may be broken."""

import base64
import json

import numpy as np

from tests.conftest import png
from tests.fuzz.target import Sent

BOUNDARY = b"frontier"
FORM = (b"content-type", b"multipart/form-data; boundary=" + BOUNDARY)
JSON = (b"content-type", b"application/json")
HOST = (b"host", b"service")

_RNG = np.random.default_rng(3)
PHOTO = _RNG.integers(0, 256, (24, 31, 3), np.uint8)
HOLE = np.zeros(PHOTO.shape[:2], np.uint8)
HOLE[8:14, 6:20] = 255
IMAGE, MASK = png(PHOTO), png(HOLE)


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    """One part of a form."""
    head = f'Content-Disposition: form-data; name="{name}"'
    head += "" if filename is None else f'; filename="{filename}"'
    return b"--%s\r\n%s\r\n\r\n%s\r\n" % (BOUNDARY, head.encode(), content)


def form(path: str, files: dict[str, bytes], *headers, **fields) -> Sent:
    """A form with files and fields."""
    parts = [part(name, data, f"{name}.png") for name, data in files.items()]
    parts += [part(name, str(value).encode("utf-8", "replace")) for name, value in fields.items()]
    return post(path, b"".join(parts) + b"--" + BOUNDARY + b"--\r\n", FORM, *headers)


def as_json(path: str, content: object, *headers) -> Sent:
    """A JSON body."""
    return post(path, json.dumps(content).encode(), JSON, *headers)


def post(path: str, body: bytes, *headers, chunks: tuple[bytes, ...] | None = None) -> Sent:
    """A body with its length."""
    length = (b"content-length", str(len(body)).encode())
    return Sent("POST", path, (HOST, length, *headers), chunks or (body,))


def encoded(data: bytes) -> str:
    """Base64."""
    return base64.b64encode(data).decode()
