"""Server-sent events, taken apart."""

import json
from typing import Any


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and data of each event of a whole stream; comments are named ""."""
    return [_event_of(block) for block in text.split("\n\n") if block]


def _event_of(block: str) -> tuple[str, dict[str, Any]]:
    if block.startswith(":"):
        return "", {}
    name, data = block.split("\n")
    assert (name[:7], data[:6]) == ("event: ", "data: "), block
    return name[7:], json.loads(data[6:])
