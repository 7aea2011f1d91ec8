"""One list of lines from the overlapping views of a picture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from inpaint.boxes import Box
from inpaint.texts import Polygon, TextRegion

SAME_AREA = 0.6
"""Shared part of the smaller of two lines from which they are one line, if equally high."""

SAME_HEIGHT = 0.6
"""Ratio of the heights of two lines from which they are equally high."""

SHARP_PX = 64
"""Up to this height in the detector's input, the finer of two scales outlines a line better."""

BLURRED_PX = 16
"""Up to this height in the detector's input its outlines are too thick, or hold several lines."""

JOINED_OVERLAP = 0.3
"""How far two parts of a cut line must overlap along it, in heights."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a detector found in one view, in pixels of the picture."""

    quad: Polygon
    """(4, 2), clockwise from the corner nearest to the picture's top left."""
    score: float
    scale: float
    """Of the view it was found in."""
    is_cut: bool = False
    """Whether it reaches an inner border of its view, so that some may be missing."""

    @property
    def box(self) -> Box:
        left, top = np.floor(self.quad.min(axis=0)).astype(int)
        right, bottom = np.ceil(self.quad.max(axis=0)).astype(int)
        return Box(int(left), int(top), int(right), int(bottom))


def merge(lines: Sequence[Line]) -> list[Line]:
    """Each line once.

    Parts of lines that tile borders cut are joined, then what was found twice is dropped: whole
    lines win over cut ones, longer over shorter, and of equally long ones the sharper. What lies
    inside something much higher is kept: only reading tells writing from smudge (see `unnest`).
    """
    kept: list[Line] = []
    for line in sorted(_joined(lines), key=lambda line: (line.is_cut, -_length(line))):
        twin = next((n for n, other in enumerate(kept) if _is_same(line, other)), None)
        if twin is None:
            kept.append(line)
        else:
            best = line if _is_sharper(line, kept[twin]) else kept[twin]
            kept[twin] = replace(best, score=max(line.score, kept[twin].score))
    return [line for line in kept if not _is_superseded(line, kept)]


def unnest(regions: Sequence[TextRegion]) -> list[TextRegion]:
    """Without the outlines that reading shows to be wrong, where one contains others.

    A coarse scale takes a paragraph for one line; a fine one sees writing in parts of huge
    letters. Whichever reads worse goes, the large one only if the small ones cover most of it.
    """
    dropped: set[int] = set()
    for n, outer in enumerate(regions):
        inner = [
            m
            for m, region in enumerate(regions)
            if m != n and m not in dropped and _is_inside(region.polygon, outer.polygon)
        ]
        if not inner:
            continue
        areas = [cv2.contourArea(regions[m].polygon) for m in inner]
        mean = float(np.average([regions[m].score for m in inner], weights=areas))
        if outer.score >= mean:
            dropped.update(inner)
        elif sum(areas) > cv2.contourArea(outer.polygon) / 2:
            dropped.add(n)
    return [region for n, region in enumerate(regions) if n not in dropped]


def in_reading_order(regions: Sequence[TextRegion]) -> list[TextRegion]:
    """Rows from top to bottom, each from left to right."""
    middles = {n: region.polygon.mean(axis=0) for n, region in enumerate(regions)}
    heights = {n: float(np.ptp(region.polygon[:, 1])) for n, region in enumerate(regions)}
    rows: list[list[int]] = []
    for n in sorted(middles, key=lambda n: float(middles[n][1])):
        first = rows[-1][0] if rows else None
        if first is not None and abs(middles[n][1] - middles[first][1]) < 0.5 * min(
            heights[n], heights[first]
        ):
            rows[-1].append(n)
        else:
            rows.append([n])
    return [regions[n] for row in rows for n in sorted(row, key=lambda n: float(middles[n][0]))]


def ordered_quad(points: Polygon) -> Polygon:
    """The smallest rectangle around `points`, clockwise from the corner nearest to the top left."""
    corners = cv2.boxPoints(cv2.minAreaRect(points)).astype(np.float32)
    left, right = np.split(corners[np.argsort(corners[:, 0], kind="stable")], 2)
    left, right = left[np.argsort(left[:, 1])], right[np.argsort(right[:, 1])]
    return np.array([left[0], right[0], right[1], left[1]], np.float32)


def _joined(lines: Sequence[Line]) -> list[Line]:
    """With the parts of cut lines in one piece, as far as they overlap."""
    todo = list(lines)
    done: list[Line] = []
    while todo:
        line = todo.pop()
        other = next((n for n, part in enumerate(todo) if _are_parts(line, part)), None)
        if other is None:
            done.append(line)
        else:
            part = todo.pop(other)
            quad = ordered_quad(np.concatenate([line.quad, part.quad]))
            # The whole takes part again: a line can run through more than two tiles.
            todo.append(Line(quad, max(line.score, part.score), line.scale, is_cut=False))
    return done


def _are_parts(a: Line, b: Line) -> bool:
    """Whether the two are pieces of one line that a border between views has cut."""
    if a.scale != b.scale or not (a.is_cut or b.is_cut) or not a.box.overlaps(b.box):
        return False
    along, across = _axes(a if _length(a) >= _length(b) else b)
    spans = [(line.quad @ along, line.quad @ across) for line in (a, b)]
    (a_along, a_across), (b_along, b_across) = spans
    heights = sorted((float(np.ptp(a_across)), float(np.ptp(b_across))))
    return (
        heights[0] >= SAME_HEIGHT * heights[1]
        and _shared(a_across, b_across) >= SAME_AREA * heights[0]
        and _shared(a_along, b_along) >= JOINED_OVERLAP * heights[0]
    )


def _axes(line: Line) -> tuple[Polygon, Polygon]:
    """Unit vectors along the longer side of a line and across it."""
    sides = line.quad[1] - line.quad[0], line.quad[3] - line.quad[0]
    along = max(sides, key=lambda side: float(np.linalg.norm(side)))
    along = along / max(float(np.linalg.norm(along)), 1e-6)
    return along, np.array([-along[1], along[0]], np.float32)


def _shared(a: Polygon, b: Polygon) -> float:
    return float(min(a.max(), b.max()) - max(a.min(), b.min()))


def _length(line: Line) -> float:
    return max(_sides(line.quad))


def _sides(quad: Polygon) -> tuple[float, float]:
    return (
        float(np.linalg.norm(quad[1] - quad[0])),
        float(np.linalg.norm(quad[3] - quad[0])),
    )


def _is_same(line: Line, longer: Line) -> bool:
    """Whether the two outlines are of one line, or the first is what a border left of it."""
    if not line.box.overlaps(longer.box):
        return False
    heights = sorted((min(_sides(line.quad)), min(_sides(longer.quad))))
    is_rest = line.is_cut and not longer.is_cut and line.scale == longer.scale
    if heights[0] < SAME_HEIGHT * heights[1] and not is_rest:
        return False
    smaller = min(cv2.contourArea(line.quad), cv2.contourArea(longer.quad))
    return _intersection(line.quad, longer.quad) >= SAME_AREA * max(smaller, 1.0)


def _is_sharper(line: Line, longer: Line) -> bool:
    """Whether `line` outlines the same letters as `longer` does, but better."""
    if line.is_cut or _length(line) < 0.9 * _length(longer):
        return False
    finer = max(line.scale, longer.scale)
    is_finer_sharp = min(_sides(line.quad)) * finer <= SHARP_PX
    return line.scale != longer.scale and (line.scale == finer) == is_finer_sharp


def _is_superseded(bar: Line, lines: Sequence[Line]) -> bool:
    """Whether finer scales resolved most of what this one shows as a thick bar."""
    if min(_sides(bar.quad)) * bar.scale > BLURRED_PX:
        return False
    along, _ = _axes(bar)
    resolved = 0.0
    for line in lines:
        if line.scale > bar.scale and line.box.overlaps(bar.box):
            area, shared = cv2.intersectConvexConvex(bar.quad, line.quad)
            length = float(np.ptp(shared @ along)) if area else 0.0
            if area > 0.5 * length * min(_sides(line.quad)):  # not only its edge
                resolved += length
    return resolved >= 0.7 * _length(bar)


def _is_inside(inner: Polygon, outer: Polygon) -> bool:
    area = cv2.contourArea(inner)
    if area >= cv2.contourArea(outer):
        return False
    return _intersection(inner, outer) >= SAME_AREA * max(area, 1.0)


def _intersection(a: Polygon, b: Polygon) -> float:
    return float(cv2.intersectConvexConvex(a, b)[0])
