"""The files of the web page, read once: they ship inside the package and never change."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

INDEX = "/"
PREFIX = "/web/"

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}
"""By the name's ending; files of other kinds are not part of the page."""


@dataclass(frozen=True, slots=True)
class WebFile:
    """One of them."""

    content: bytes
    media_type: str
    etag: str
    """Of the content, quoted as RFC 9110 wants it."""


@cache
def web_files() -> Mapping[str, WebFile]:
    """Every file by the path under which it is served: nothing else can be asked for."""
    found: dict[str, WebFile] = {}
    _collect(files("serve_app") / "web", "", found)
    found[INDEX] = found.pop(f"{PREFIX}index.html")
    return found


def _collect(folder: Traversable, below: str, found: dict[str, WebFile]) -> None:
    for entry in folder.iterdir():
        name = f"{below}{entry.name}"
        if entry.is_dir():
            _collect(entry, f"{name}/", found)
            continue
        media_type = MEDIA_TYPES.get(name.rpartition(".")[2])
        if media_type is not None:
            content = entry.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:32]
            found[PREFIX + name] = WebFile(content, media_type, f'"{digest}"')
