"""Judging what differs, and showing it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.api_parity.calls import Answer
from benchmarks.api_parity.compare import Comparison, Difference
from benchmarks.api_parity.expected import Expected
from benchmarks.api_parity.pixels import Loss

HEADING = (
    "| case | IOPaint | here | differs | largest pixel difference | |\n|---|---|---|---|--:|---|"
)


@dataclass(frozen=True)
class Row:
    """One case's outcome.

    Attributes:
        case: its name.
        theirs: status and media type of IOPaint's answer.
        ours: of ours.
        levels, losses: see Comparison.
        meant: differences that the table allows.
        unexpected: those it does not allow.
        missing: aspects that the table announces and that did not differ.
    """

    case: str
    theirs: str
    ours: str
    levels: int | None
    losses: tuple[Loss, Loss] | None
    meant: tuple[Difference, ...]
    unexpected: tuple[Difference, ...]
    missing: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """One word."""
        if self.unexpected:
            return "unexpected"
        if self.missing:
            return "no longer"
        return "expected" if self.meant else "equal"

    def line(self) -> str:
        """A row of the table."""
        changes = [*self.unexpected, *self.meant]
        texts = [f"{change.aspect} {change.change}" for change in changes]
        texts += [f"{aspect} no longer differs" for aspect in self.missing]
        levels = "" if self.levels is None else str(self.levels)
        if self.losses:
            levels += f" (lost: {self.losses[0]} → {self.losses[1]})"
        what = "; ".join(texts)
        return f"| {self.case} | {self.theirs} | {self.ours} | {what} | {levels} | {self.verdict} |"


def judge(
    case: str, theirs: Answer, ours: Answer, found: Comparison, table: Sequence[Expected]
) -> Row:
    """Sort a case's differences by the table of expected ones."""
    entries = [entry for entry in table if entry.applies_to(case)]
    meant = [
        change for change in found.differences if any(entry.covers(change) for entry in entries)
    ]
    seen = {change.aspect for change in found.differences}
    announced = {aspect for entry in entries if entry.is_certain for aspect in entry.aspects}
    return Row(
        case,
        _brief(theirs),
        _brief(ours),
        found.levels,
        found.losses,
        tuple(meant),
        tuple(change for change in found.differences if change not in meant),
        tuple(sorted(announced - seen)),
    )


def _brief(answer: Answer) -> str:
    return f"{answer.status or 'no answer'} {answer.media_type.rpartition('/')[2]}".strip()


def summary(rows: Sequence[Row]) -> str:
    """How many cases ended how."""
    verdicts = [row.verdict for row in rows]
    parts = [f"{verdicts.count(verdict)} {verdict}" for verdict in sorted(set(verdicts))]
    return f"{len(rows)} cases: {', '.join(parts)}."


def write_json(path: Path, rows: Iterable[Row]) -> None:
    """All rows as JSON."""
    entries = [{**asdict(row), "verdict": row.verdict} for row in rows]
    path.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
