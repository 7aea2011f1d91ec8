"""Line charts as SVG, written by hand: a benchmark's plot is no reason for a plotting library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

COLOURS = ("#1f5fa8", "#c0392b", "#2e8b57", "#b8860b", "#7d3c98", "#555555")
WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 34, 46
TICKS = 6


@dataclass(frozen=True, slots=True)
class Line:
    """One curve."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart; several of them stand below each other. The y axis begins at zero."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    limit: float | None = None
    """Drawn as a dashed line: what must not be passed."""


def write(path: Path, panels: Sequence[Panel]) -> None:
    """Write the panels into one SVG file."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT * len(panels)}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
    ]
    for number, panel in enumerate(panels):
        parts += [f'<g transform="translate(0 {number * HEIGHT})">', *_drawn(panel), "</g>"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>\n"]))


def nice_ticks(most: float) -> list[float]:
    """Round numbers from zero up to `most` or a little beyond."""
    if most <= 0:
        return [0.0, 1.0]
    raw = most / (TICKS - 1)
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def _drawn(panel: Panel) -> list[str]:
    points = [point for line in panel.lines for point in line.points]
    x_ticks = nice_ticks(max((x for x, _ in points), default=0))
    y_ticks = nice_ticks(max([*(y for _, y in points), panel.limit or 0], default=0))

    def across(x: float) -> float:
        return round(LEFT + x / x_ticks[-1] * (WIDTH - LEFT - RIGHT), 1)

    def down(y: float) -> float:
        return round(HEIGHT - BOTTOM - y / y_ticks[-1] * (HEIGHT - TOP - BOTTOM), 1)

    parts = [_text(LEFT, 16, panel.title, "start", bold=True)]
    for y in y_ticks:
        parts.append(_rule(LEFT, down(y), WIDTH - RIGHT, down(y), "#e4e4e4"))
        parts.append(_text(LEFT - 6, down(y) + 4, f"{y:g}", "end"))
    for x in x_ticks:
        parts.append(_text(across(x), HEIGHT - BOTTOM + 15, f"{x:g}", "middle"))
    parts.append(_rule(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "#888888"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, panel.x_label, "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f' transform="rotate(-90 14 {middle})"'
    parts.append(_text(14, middle, panel.y_label, "middle", turned))
    if panel.limit is not None:
        parts.append(
            _rule(LEFT, down(panel.limit), WIDTH - RIGHT, down(panel.limit), "#c0392b", dashed=True)
        )
    for number, line in enumerate(panel.lines):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{across(x)},{down(y)}" for x, y in line.points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        )
        name = WIDTH - RIGHT - 120 * (len(panel.lines) - number) + 4
        parts.append(_rule(name, 24, name + 16, 24, colour))
        parts.append(_text(name + 20, 28, line.name, "start"))
    return parts


def _text(
    x: float, y: float, words: str, anchor: str, more: str = "", *, bold: bool = False
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{weight}{more}>{escape(words)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}"{dashes}/>'
