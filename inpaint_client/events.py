"""A request's progress: server-sent events, taken apart as they come in."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from inpaint_client.errors import NoAnswerError, error_of, problem_in
from inpaint_client.results import Painted


@dataclass(frozen=True, slots=True)
class Started:
    """The first event."""

    model: str
    seed: int
    request_id: str
    """By which the request can be cancelled."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a model with a prompt is done."""

    step: int
    """From 1."""
    total: int
    elapsed_ms: float
    """Since the start."""
    preview: bytes | None = field(default=None, repr=False)
    """A coarse JPEG, where `previews` asked for it."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The replica was lost and the run begins anew: steps count from 1 again."""

    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event."""

    result: Painted


Event = Started | Step | Restarted | Finished


class EventReader:
    """Takes one stream apart, whatever pieces it comes in."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._looked = 0
        self._name = ""
        self._data: list[bytes] = []
        self._request_id: str | None = None
        self._is_finished = False

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that are complete with this piece.

        Raises:
            ApiError: the server tells of a problem.
        """
        self._text += piece
        while (end := self._text.find(b"\n", self._looked)) >= 0:
            line = bytes(self._text[:end]).removesuffix(b"\r")
            del self._text[: end + 1]
            self._looked = 0
            event = self._take(line)
            if event is not None:
                yield event
        self._looked = len(self._text)

    def close(self) -> None:
        """Nothing more will come.

        Raises:
            NoAnswerError: the result has not come either.
        """
        if not self._is_finished:
            raise NoAnswerError("The stream of events broke off before its result.", True)

    def _take(self, line: bytes) -> Event | None:
        """One line; the event that ends with it."""
        if line:
            field_name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field_name == b"event":
                self._name = value.decode()
            elif field_name == b"data":
                self._data.append(value)
            return None  # others, such as comments, mean nothing here
        name, data = self._name, b"\n".join(self._data)
        self._name, self._data = "", []
        return self._event(name, json.loads(data)) if data else None

    def _event(self, name: str, facts: Mapping[str, Any]) -> Event | None:
        match name:
            case "started":
                self._request_id = facts["request_id"]
                return Started(facts["model"], facts["seed"], facts["request_id"])
            case "step":
                preview = facts.get("preview")
                picture = None if preview is None else base64.b64decode(preview)
                return Step(facts["step"], facts["total"], facts["elapsed_ms"], picture)
            case "restarted":
                return Restarted(facts["elapsed_ms"])
            case "result":
                self._is_finished = True
                return Finished(Painted.of_document(facts))
            case "error":
                raise error_of(problem_in(facts, self._request_id))
        return None  # a newer server's
