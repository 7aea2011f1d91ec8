"""What is asked of both servers, and what they answer."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

TIMEOUT_S = 60
API = "/api/v1"


@dataclass(frozen=True)
class Call:
    """One HTTP request. At most one of `json`, `content` and `files` is given."""

    method: str
    path: str
    json: Any = None
    content: bytes | None = None
    files: Mapping[str, tuple[str, bytes]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def send(self, url: str) -> "Answer":
        """The answer of the server at `url`; status 0 when there was none in time."""
        try:
            response = httpx.request(
                self.method,
                url + self.path,
                json=self.json,
                content=self.content,
                files=self.files,
                headers=dict(self.headers),
                timeout=TIMEOUT_S,
            )
        except httpx.HTTPError:
            return Answer(0, {}, b"")
        return Answer(response.status_code, dict(response.headers), response.content)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    files: tuple[str, ...] = ()
    """What it put into the server's folder."""

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0]


@dataclass(frozen=True)
class Server:
    """A running server, and the folder that it may write into, if any."""

    url: str
    folder: Path | None = None

    def answer(self, call: Call) -> Answer:
        """The answer to `call`, and the files that it left behind."""
        before = self._files()
        answer = call.send(self.url)
        return replace(answer, files=tuple(sorted(self._files() - before)))

    def _files(self) -> set[str]:
        if self.folder is None:
            return set()
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}


@dataclass(frozen=True)
class Case:
    """A call, and how its answers are compared.

    Attributes:
        name: stands in the table of expected differences.
        call: makes the request; pictures are drawn only then.
        twin: the same picture as a plain 8-bit PNG. What IOPaint answers to it is what our answer
            to `call` must show, even where IOPaint itself cannot read `call`.
        is_lossy: the answer's format loses pixels, see `pixels`.
        levels: how far pixels may differ; networks round differently from run to run.
        has_values: values of a JSON answer count, not only names and types.
        is_seed_random: X-Seed need only be a number within IOPaint's range.
    """

    name: str
    call: Callable[[], Call]
    twin: Callable[[], Call] | None = None
    is_lossy: bool = False
    levels: int = 0
    has_values: bool = False
    is_seed_random: bool = False


def data_url(data: bytes) -> str:
    """As IOPaint's page sends files."""
    return "data:image/png;base64," + base64.b64encode(data).decode()


def inpaint(image: bytes, mask: bytes, **fields: object) -> Call:
    """POST /inpaint with files and fields."""
    return post("inpaint", {"image": data_url(image), "mask": data_url(mask), **fields})


def post(name: str, body: object) -> Call:
    """POST JSON to a route."""
    return Call("POST", f"{API}/{name}", json=body)


def get(name: str) -> Call:
    """GET a route."""
    return Call("GET", f"{API}/{name}")


def upload(name: str, filename: str, data: bytes) -> Call:
    """POST a file to a route."""
    return Call("POST", f"{API}/{name}", files={"file": (filename, data)})
