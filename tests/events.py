"""Server-sent events, taken apart."""

import json
from collections.abc import Iterator
from typing import Any

import httpx


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and data of each event of a whole stream; comments are named ""."""
    return [_event_of(block) for block in text.split("\n\n") if block]


def events_in(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same of a stream, as they come in."""
    text = ""
    for part in answer.iter_text():
        text += part
        *whole, text = text.split("\n\n")
        for block in whole:
            yield _event_of(block)


def _event_of(block: str) -> tuple[str, dict[str, Any]]:
    if block.startswith(":"):
        return "", {}
    name, data = block.split("\n")
    assert (name[:7], data[:6]) == ("event: ", "data: "), block
    return name[7:], json.loads(data[6:])
