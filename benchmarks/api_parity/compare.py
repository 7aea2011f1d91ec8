"""What differs between IOPaint's answer and ours.

Statuses, media types, the headers that clients read, files written, names and types in JSON (the
texts of errors are each server's own), and of pictures format, size, alpha, metadata and pixels.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.api_parity.calls import Answer, Case
from benchmarks.api_parity.pixels import MAX_SLACK, MEAN_SLACK, Loss, Shown, decode, distance, loss

CORS = "access-control-"
SEEDS = range(1, 100_000_000)
"""Those that IOPaint draws."""


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    Attributes:
        aspect: what it is about.
        change: "IOPaint's → ours".
    """

    aspect: str
    change: str

    @classmethod
    def of(cls, aspect: str, theirs: object, ours: object) -> "Difference":
        """From the two values."""
        return cls(aspect, f"{theirs} → {ours}")


@dataclass(frozen=True)
class Comparison:
    """What differs in one case.

    Attributes:
        differences: all that does.
        levels: the largest difference of a pixel, if both answered pictures.
        losses: of lossy answers, how far IOPaint's and ours lie from the lossless one.
    """

    differences: tuple[Difference, ...]
    levels: int | None = None
    losses: tuple[Loss, Loss] | None = None


def compare(case: Case, theirs: Answer, ours: Answer, truth: Answer | None) -> Comparison:
    """Compare two answers.

    Args:
        case: what was asked.
        theirs: IOPaint's answer.
        ours: ours.
        truth: IOPaint's answer to the case's twin, if it has one.
    """
    differences = list(_outside(case, theirs, ours))
    if not _is_picture(ours):
        if _are_alike(theirs, ours):
            differences += _bodies(case, theirs, ours)
        return Comparison(tuple(differences))
    mine = decode(ours.body)
    true = decode(truth.body) if truth is not None and _is_picture(truth) else None
    if true is not None and not case.is_lossy:
        differences += _pixels("pixels of the twin", true, mine, case.levels)
    if not _is_picture(theirs):
        return Comparison(tuple(differences))
    other = decode(theirs.body)
    differences += _pictures(other, mine)
    if not case.is_lossy:
        differences += _pixels("pixels", other, mine, case.levels)
    losses = _losses(true, other, mine) if case.is_lossy else None
    if losses is not None:
        differences += _too_far(*losses)
    return Comparison(tuple(differences), distance(other, mine), losses)


def _is_picture(answer: Answer) -> bool:
    return answer.status == 200 and answer.media_type.startswith("image/")


def _outside(case: Case, theirs: Answer, ours: Answer) -> Iterator[Difference]:
    pairs = [
        ("status", theirs.status or "no answer", ours.status or "no answer"),
        ("allow", theirs.headers.get("allow", "none"), ours.headers.get("allow", "none")),
        ("CORS", _cors(theirs), _cors(ours)),
        ("files", ", ".join(theirs.files) or "none", ", ".join(ours.files) or "none"),
    ]
    if _are_alike(theirs, ours):
        name = "content-disposition"
        pairs += [
            ("type", theirs.media_type or "none", ours.media_type or "none"),
            (name, theirs.headers.get(name, "none"), ours.headers.get(name, "none")),
            ("X-Seed", _seed(case, theirs), _seed(case, ours)),
        ]
    yield from (Difference.of(*pair) for pair in pairs if pair[1] != pair[2])


def _are_alike(theirs: Answer, ours: Answer) -> bool:
    """Both good, or both not: else the status says it all."""
    return (theirs.status == 200) == (ours.status == 200)


def _cors(answer: Answer) -> str:
    found = [
        f"{name.removeprefix(CORS)} {value}"
        for name, value in sorted(answer.headers.items())
        if name.startswith(CORS)
    ]
    return ", ".join(found) or "none"


def _seed(case: Case, answer: Answer) -> str:
    seed = answer.headers.get("x-seed", "none")
    if case.is_seed_random and seed.isdecimal() and int(seed) in SEEDS:
        return "a random number"
    return seed


def _pictures(theirs: Shown, ours: Shown) -> Iterator[Difference]:
    pairs: list[tuple[str, object, object]] = [
        ("format", theirs.format, ours.format),
        ("size", theirs.colours.shape[:2], ours.colours.shape[:2]),
        ("alpha", _has_alpha(theirs), _has_alpha(ours)),
    ]
    pairs += [(name, theirs.notes[name], ours.notes[name]) for name in theirs.notes]
    yield from (Difference.of(*pair) for pair in pairs if pair[1] != pair[2])


def _has_alpha(shown: Shown) -> str:
    return "none" if shown.alpha is None else "kept"


def _pixels(aspect: str, theirs: Shown, ours: Shown, levels: int) -> Iterator[Difference]:
    farthest = distance(theirs, ours)
    if farthest is not None and farthest > levels:
        yield Difference(aspect, f"by up to {farthest}")


def _losses(true: Shown | None, theirs: Shown, ours: Shown) -> tuple[Loss, Loss] | None:
    if true is None:
        return None
    their_loss, our_loss = loss(theirs, true), loss(ours, true)
    return None if their_loss is None or our_loss is None else (their_loss, our_loss)


def _too_far(theirs: Loss, ours: Loss) -> Iterator[Difference]:
    if ours.mean > theirs.mean + MEAN_SLACK or ours.most > theirs.most + MAX_SLACK:
        yield Difference.of("loss", theirs, ours)


def _bodies(case: Case, theirs: Answer, ours: Answer) -> Iterator[Difference]:
    one, other = _json(theirs), _json(ours)
    if one is None or other is None:
        if (one is None) != (other is None) or (one is None and theirs.body != ours.body):
            yield Difference.of("body", _kind(theirs, one), _kind(ours, other))
        return
    if case.has_values and theirs.status == ours.status and one != other:
        yield Difference("values", _first_difference(one, other))
    echoes = _cut_echoes(one[0]), _cut_echoes(other[0])
    if echoes[0] != echoes[1]:
        yield Difference.of("detail", *("echoes input" if echo else "does not" for echo in echoes))
    kinds = _kind_of(one[0]), _kind_of(other[0])
    if kinds[0] != kinds[1]:
        yield Difference.of("body", *kinds)
        return
    shapes = dict(_shape(one[0])), dict(_shape(other[0]))
    changed = [
        f"{path} {shapes[0].get(path, 'absent')} → {shapes[1].get(path, 'absent')}"
        for path in sorted({*shapes[0], *shapes[1]})
        if shapes[0].get(path) != shapes[1].get(path)
    ]
    if changed:
        yield Difference("body", "; ".join(changed))


def _kind(answer: Answer, content: list[object] | None) -> str:
    return "JSON" if content is not None else f"{len(answer.body)} bytes"


def _json(answer: Answer) -> list[object] | None:
    """The content of a JSON body, in a list because `null` is one too."""
    if not answer.media_type.endswith("json"):
        return None
    return [json.loads(answer.body)]


def _kind_of(content: object) -> str:
    """In a word or two."""
    if not isinstance(content, dict):
        return "null" if content is None else type(content).__name__
    if content.keys() >= {"error", "detail", "body", "errors"}:
        return "an error"
    if content.keys() == {"detail"}:
        return "findings" if isinstance(content["detail"], list) else "a detail"
    return "an object"


def _cut_echoes(content: object) -> bool:
    """Drop what pydantic repeats of the input and says of itself; whether there was any."""
    entries = content.get("detail") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        return False
    cut = [entry.pop(name, None) for entry in entries for name in ("input", "url", "ctx")]
    return any(value is not None for value in cut)


def _shape(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every path of a JSON value and the type there; the entries of a list share one path."""
    if isinstance(value, dict):
        yield path, "object"
        for name, entry in value.items():
            yield from _shape(entry, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        yield path, "list"
        for entry in value:
            yield from _shape(entry, f"{path}[]")
    else:
        names = {bool: "bool", int: "number", float: "number", str: "text", type(None): "null"}
        yield path, names[type(value)]


def _first_difference(theirs: object, ours: object) -> str:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in sorted({*theirs, *ours}):
            if theirs.get(name) != ours.get(name):
                return f"{name}: {_first_difference(theirs.get(name), ours.get(name))}"
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours) == 1:
        return _first_difference(theirs[0], ours[0])
    return f"{str(theirs)[:60]} → {str(ours)[:60]}"
