"""What became of each picture: a progress bar, a line for each failure, a file of JSON lines."""

import json
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from serve_app.cli.run_tasks import Task


class Fate(StrEnum):
    """What became of a picture."""

    DONE = "done"
    SKIPPED = "skipped"
    """Its result was there already."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One picture."""

    task: Task
    fate: Fate
    took_s: float = 0.0
    code: str | None = None
    """Of a failure: a problem's, or `mask-missing`, `file`, `no-answer`."""
    detail: str | None = None
    request_id: str | None = None
    seed: int | None = None
    text_removed: int | None = None
    """Lines that were erased, where text was to be removed."""

    def as_json(self) -> str:
        """One line."""
        task = self.task
        facts = {
            "image": str(task.image),
            "mask": None if task.mask is None else str(task.mask),
            "output": str(task.output),
            "status": self.fate,
            "took_s": round(self.took_s, 3),
            "code": self.code,
            "detail": self.detail,
            "request_id": self.request_id,
            "seed": self.seed,
            "text_removed": self.text_removed,
        }
        return json.dumps({name: fact for name, fact in facts.items() if fact is not None})


class Report:
    """Shows failures as they come, beside a progress bar.

    Args:
        total: how many pictures there are.
        path: of the JSON lines; None: none are written.
        console: a terminal or not, usually stderr.
    """

    def __init__(self, total: int, path: Path | None, console: Console) -> None:
        self.outcomes: list[Outcome] = []
        self._total = total
        self._path = path
        self._file: IO[str] | None = None
        self._console = console
        self._opened = ExitStack()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._bar = self._progress.add_task("Pictures", total=total)

    def __enter__(self) -> Self:
        if self._path is not None:
            self._file = self._opened.enter_context(self._path.open("w", encoding="utf-8"))
        self._opened.enter_context(self._progress)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._opened.close()

    def add(self, outcome: Outcome) -> None:
        """One more."""
        self.outcomes.append(outcome)
        if outcome.fate is Fate.FAILED:
            words = escape(f"{outcome.task.image}: {outcome.detail}")
            self._progress.console.print(words, style="red", highlight=False, soft_wrap=True)
        if self._file is not None:
            self._file.write(outcome.as_json() + "\n")
            self._file.flush()
        self._progress.advance(self._bar)

    @property
    def failures(self) -> list[Outcome]:
        """Those that failed."""
        return [outcome for outcome in self.outcomes if outcome.fate is Fate.FAILED]

    @property
    def left(self) -> int:
        """How many were not tried."""
        return self._total - len(self.outcomes)

    def summary(self) -> str:
        """How many of each fate, and of each kind of failure."""
        counts = Counter(outcome.fate for outcome in self.outcomes)
        told = [f"{counts[fate]} {fate}" for fate in Fate]
        codes = Counter(outcome.code for outcome in self.failures)
        if codes:
            told[-1] += f" ({', '.join(f'{count} {code}' for code, count in codes.most_common())})"
        return ", ".join([*told, f"{self.left} not tried"] if self.left else told)
