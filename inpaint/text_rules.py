"""Which of the found lines are removed: by score, size, place and wording."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import re2
from pydantic import Field, field_validator

from inpaint.boxes import Box
from inpaint.errors import ParamsError
from inpaint.specs import Spec
from inpaint.texts import TextRegion

MAX_PATTERN_BYTES = 2**20
"""Memory that a compiled pattern may take: a short one can unfold into a huge automaton."""

BoxFields = Annotated[tuple[int, int, int, int], Field(description="[x, y, width, height] in px")]


class Fate(StrEnum):
    """What becomes of a line, and why."""

    REMOVED = "removed"
    KEPT_SCORE = "kept: score"
    KEPT_HEIGHT = "kept: height"
    KEPT_PLACE = "kept: place"
    KEPT_PATTERN = "kept: pattern"


class TextRules(Spec):
    """The filter of POST /remove-text. Absent fields let everything pass."""

    min_score: float = Field(
        default=0.0, ge=0, le=1, description="Lines read with less certainty are kept."
    )
    min_height_px: float = Field(default=0.0, ge=0, description="Lower lines are kept.")
    max_height_px: float | None = Field(default=None, gt=0, description="Taller lines are kept.")
    include: tuple[BoxFields, ...] | None = Field(
        default=None,
        max_length=1000,
        description="Only lines whose centre lies in one of these boxes are removed.",
    )
    exclude: tuple[BoxFields, ...] = Field(
        default=(), max_length=1000, description="Lines whose centre lies in one of these are kept."
    )
    keep: str | None = Field(
        default=None,
        max_length=1000,
        description="Lines in which this pattern is found are kept (RE2 syntax, any case).",
    )
    remove: str | None = Field(
        default=None,
        max_length=1000,
        description="Only lines in which this pattern is found are removed (RE2 syntax, any case).",
    )

    @field_validator("keep", "remove")
    @classmethod
    def _is_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            compiled(pattern)
        return pattern


@dataclass(frozen=True, slots=True)
class Judged:
    """A line and what becomes of it."""

    region: TextRegion
    fate: Fate


def compiled(pattern: str) -> Any:
    """A search pattern that takes time linear in the text, whatever it is.

    Raises:
        ParamsError: it is not valid RE2.
    """
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = MAX_PATTERN_BYTES
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        raise ParamsError(
            f"The pattern {pattern[:80]!r} is not valid RE2: see "
            "https://github.com/google/re2/wiki/Syntax for what is."
        ) from error


def judge(regions: Sequence[TextRegion], rules: TextRules) -> list[Judged]:
    """The fate of every line, in order."""
    keep = compiled(rules.keep) if rules.keep is not None else None
    remove = compiled(rules.remove) if rules.remove is not None else None
    return [Judged(region, _fate(region, rules, keep, remove)) for region in regions]


def _fate(region: TextRegion, rules: TextRules, keep: Any, remove: Any) -> Fate:
    if region.score < rules.min_score:
        return Fate.KEPT_SCORE
    height = region.height_px
    if height < rules.min_height_px or (rules.max_height_px and height > rules.max_height_px):
        return Fate.KEPT_HEIGHT
    if not _is_in_place(region, rules):
        return Fate.KEPT_PLACE
    is_kept = keep is not None and keep.search(region.text)
    if is_kept or (remove is not None and not remove.search(region.text)):
        return Fate.KEPT_PATTERN
    return Fate.REMOVED


def _is_in_place(region: TextRegion, rules: TextRules) -> bool:
    x, y = region.polygon.mean(axis=0)
    if any(_holds(box, x, y) for box in rules.exclude):
        return False
    return rules.include is None or any(_holds(box, x, y) for box in rules.include)


def _holds(fields: BoxFields, x: float, y: float) -> bool:
    left, top, width, height = fields
    box = Box(left, top, left + width, top + height)
    return box.left <= x < box.right and box.top <= y < box.bottom
