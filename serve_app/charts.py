"""Charts as SVG, written by hand: a few lines and bars are no reason for a plotting library."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

COLOURS = ("#1f5fa8", "#c0392b", "#2e8b57", "#b8860b", "#7d3c98", "#555555")
GREY, RED, RULE = "#888888", "#c0392b", "#e4e4e4"
WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 34, 46
TICKS = 6

NAMES_PX, NUMBERS_PX = 250, 60
"""Of a bar chart: what stands before the bars and behind them."""
BAR_PX, ROW_GAP_PX = 10, 9
LETTER_PX = 6.6
"""About how wide a letter of the charts' font is."""


@dataclass(frozen=True, slots=True)
class Line:
    """One curve."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart of curves; several stand below each other. The y axis begins at zero."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    limit: float | None = None
    """Drawn as a dashed line: what must not be passed."""

    @property
    def height(self) -> int:
        """In pixels."""
        return HEIGHT

    def drawn(self) -> Iterator[str]:
        """Its elements."""
        return _curves(self)


@dataclass(frozen=True, slots=True)
class Bars:
    """One chart of horizontal bars, one group for each row. They begin at zero."""

    title: str
    series: Sequence[str]
    """What the bars of a group are."""
    rows: Sequence[tuple[str, Sequence[float]]]
    """A group's name, and as many values as there are series."""

    @property
    def height(self) -> int:
        """In pixels."""
        return TOP + len(self.rows) * (len(self.series) * BAR_PX + ROW_GAP_PX) + 20

    def drawn(self) -> Iterator[str]:
        """Its elements."""
        return _bars(self)


def write(path: Path, panels: Sequence[Panel | Bars]) -> None:
    """Write the charts into one SVG file."""
    height = sum(panel.height for panel in panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">'
        '<rect width="100%" height="100%" fill="white"/>'
    ]
    top = 0
    for panel in panels:
        parts += [f'<g transform="translate(0 {top})">', *panel.drawn(), "</g>"]
        top += panel.height
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>\n"]), encoding="utf-8")


def nice_ticks(most: float) -> list[float]:
    """Round numbers from zero up to `most` or a little beyond."""
    if most <= 0:
        return [0.0, 1.0]
    raw = most / (TICKS - 1)
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def _curves(panel: Panel) -> Iterator[str]:
    points = [point for line in panel.lines for point in line.points]
    x_ticks = nice_ticks(max((x for x, _ in points), default=0))
    y_ticks = nice_ticks(max([*(y for _, y in points), panel.limit or 0], default=0))

    def across(x: float) -> float:
        return round(LEFT + x / x_ticks[-1] * (WIDTH - LEFT - RIGHT), 1)

    def down(y: float) -> float:
        return round(HEIGHT - BOTTOM - y / y_ticks[-1] * (HEIGHT - TOP - BOTTOM), 1)

    yield _text(LEFT, 16, panel.title, "start", bold=True)
    for y in y_ticks:
        yield _rule(LEFT, down(y), WIDTH - RIGHT, down(y), RULE)
        yield _text(LEFT - 6, down(y) + 4, f"{y:g}", "end")
    for x in x_ticks:
        yield _text(across(x), HEIGHT - BOTTOM + 15, f"{x:g}", "middle")
    yield _rule(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, GREY)
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, panel.x_label, "middle")
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f' transform="rotate(-90 14 {middle})"'
    yield _text(14, middle, panel.y_label, "middle", turned)
    if panel.limit is not None:
        limit = down(panel.limit)
        yield _rule(LEFT, limit, WIDTH - RIGHT, limit, RED, dashed=True)
    yield from _legend([line.name for line in panel.lines])
    for line, colour in zip(panel.lines, _colours(len(panel.lines)), strict=True):
        path = " ".join(f"{across(x)},{down(y)}" for x, y in line.points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def _bars(panel: Bars) -> Iterator[str]:
    ticks = nice_ticks(max((value for _, values in panel.rows for value in values), default=0))
    bottom = panel.height - 20
    colours = _colours(len(panel.series))

    def across(value: float) -> float:
        return round(NAMES_PX + value / ticks[-1] * (WIDTH - NAMES_PX - NUMBERS_PX), 1)

    yield _text(LEFT, 16, panel.title, "start", bold=True)
    yield from _legend(panel.series if len(panel.series) > 1 else ())
    for tick in ticks:
        yield _rule(across(tick), TOP, across(tick), bottom, RULE)
        yield _text(across(tick), bottom + 13, f"{tick:g}", "middle")
    group = len(panel.series) * BAR_PX
    for number, (name, values) in enumerate(panel.rows):
        top = TOP + ROW_GAP_PX / 2 + number * (group + ROW_GAP_PX)
        yield _text(NAMES_PX - 8, top + group / 2 + 4, name, "end")
        for place, (value, colour) in enumerate(zip(values, colours, strict=True)):
            y = top + place * BAR_PX
            width = round(across(value) - NAMES_PX, 1)
            yield (
                f'<rect x="{NAMES_PX}" y="{y}" width="{width}" height="{BAR_PX - 1}" '
                f'fill="{colour}"/>'
            )
            yield _text(across(value) + 4, y + 8, f"{value:.3g}", "start", ' font-size="9"')
    yield _rule(NAMES_PX, TOP, NAMES_PX, bottom, GREY)


def _legend(names: Sequence[str]) -> Iterator[str]:
    """At the upper right, from the left to the right."""
    widths = [32 + LETTER_PX * len(name) for name in names]
    starts = [WIDTH - RIGHT - sum(widths[number:]) for number in range(len(names))]
    for x, name, colour in zip(starts, names, _colours(len(names)), strict=True):
        yield _rule(x, 24, x + 16, 24, colour, thick=True)
        yield _text(x + 20, 28, name, "start")


def _colours(count: int) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(count)]


def _text(
    x: float, y: float, words: str, anchor: str, more: str = "", *, bold: bool = False
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{weight}{more}>{escape(words)}</text>'


def _rule(
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    colour: str,
    *,
    dashed: bool = False,
    thick: bool = False,
) -> str:
    more = ' stroke-dasharray="5 4"' if dashed else ' stroke-width="3"' if thick else ""
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}"{more}/>'
