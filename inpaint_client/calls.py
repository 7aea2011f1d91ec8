"""What each call sends and how its answer is read, without sending anything.

Both clients are loops around this.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from inpaint_client.errors import NoAnswerError
from inpaint_client.results import FoundText, ModelCard, ModelList, Painted, TextRemoval

T = TypeVar("T")

JSON, EVENTS, ANY = "application/json", "text/event-stream", "*/*"
EXAMPLE = "paint_by_example_example_image"
"""The field of the picture that shows what the hole should show."""

CONNECT_S = 10.0
READ_S = 600.0
"""No answer takes longer: the server bounds the time of each request by its own limit."""
LATE_S = 5.0
"""How long after the end of its time budget a request may still be answered: with a 504."""

Parameters = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, which can be sent any number of times."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    """Makes the result of an answer that is a success."""
    accept: str = JSON
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    fields: Mapping[str, str] = field(default_factory=dict)
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def request(self, url: str, api_key: str | None, left_s: float | None) -> dict[str, Any]:
        """What httpx's `build_request` takes.

        Args:
            url: the server's, without a slash at the end.
            api_key: who asks.
            left_s: the time budget; None: the server's own.
        """
        headers = {"Accept": self.accept, "X-Request-Id": self.request_id}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        if left_s is not None:
            left_s = max(left_s, 0.001)
            headers["X-Timeout-Seconds"] = f"{left_s:.3f}"
        wait_s = READ_S if left_s is None else left_s + LATE_S
        body: dict[str, Any] = {}
        if self.files:
            files = {name: (name, data) for name, data in self.files.items()}
            body = {"files": files, "data": dict(self.fields)}
        return {
            "method": self.method,
            "url": url + self.path,
            "headers": headers,
            "timeout": httpx.Timeout(wait_s, connect=min(CONNECT_S, wait_s)),
            **body,
        }

    def result(self, answer: httpx.Response) -> T:
        """Read an answer that is a success; NoAnswerError where it is no answer of this API."""
        try:
            return self.read(answer)
        except (KeyError, TypeError, ValueError):
            raise NoAnswerError(
                f"What answered {self.method} {self.path} is no inpaint-serve of this version."
            ) from None


def inpaint(
    pictures: Mapping[str, bytes], request_id: str | None, parameters: Parameters
) -> Call[Painted]:
    """POST /inpaint, answered by the picture itself."""
    return _post("/inpaint", Painted.of_answer, ANY, pictures, request_id, parameters)


def inpaint_stream(
    pictures: Mapping[str, bytes], request_id: str | None, parameters: Parameters
) -> Call[None]:
    """POST /inpaint, answered by events."""
    return _post("/inpaint", lambda _: None, EVENTS, pictures, request_id, parameters)


def remove_text(image: bytes, request_id: str | None, parameters: Parameters) -> Call[TextRemoval]:
    """POST /remove-text, answered by JSON: it tells of the lines."""
    read = _document(TextRemoval.of_document)
    return _post("/remove-text", read, JSON, {"image": image}, request_id, parameters)


def find_text(image: bytes, request_id: str | None, parameters: Parameters) -> Call[FoundText]:
    """POST /ocr."""
    read = _document(FoundText.of_document)
    return _post("/ocr", read, JSON, {"image": image}, request_id, parameters)


def models() -> Call[ModelList]:
    """GET /models."""
    return Call("GET", "/models", _document(ModelList.of_document))


def model(name: str) -> Call[ModelCard]:
    """GET /models/{name}."""
    return Call("GET", f"/models/{quote(name)}", _document(ModelCard.of_document))


def cancel(request_id: str) -> Call[bool]:
    """DELETE /requests/{id}."""
    path = f"/requests/{quote(request_id, safe='')}"
    return Call("DELETE", path, _document(lambda document: bool(document["cancelled"])))


def _post(
    path: str,
    read: Callable[[httpx.Response], T],
    accept: str,
    pictures: Mapping[str, bytes],
    request_id: str | None,
    parameters: Parameters,
) -> Call[T]:
    fields = {name: _word(value) for name, value in parameters.items() if value is not None}
    return Call("POST", path, read, accept, pictures, fields, request_id or uuid.uuid4().hex)


def _word(value: object) -> str:
    """A form's spelling: booleans and lists as in JSON, everything else as it is."""
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _document(make: Callable[[Mapping[str, Any]], T]) -> Callable[[httpx.Response], T]:
    def read(answer: httpx.Response) -> T:
        document = answer.json()
        if not isinstance(document, dict):
            raise ValueError("the answer is no JSON object")
        return make(document)

    return read
