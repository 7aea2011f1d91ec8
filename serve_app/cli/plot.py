"""`plot`: a picture where a person would rather look than read."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from serve_app.charts import Bars, Line, Panel, write
from serve_app.cli.exits import CommandError, fail

MOST_PAIRS = 24
MOST_CURVES = 5
"""More cannot be told from each other."""
LATENCIES = ("p50", "p95", "p99")

Case = Mapping[str, Any]
Value = Callable[[Case], float]


def plot(
    results: Annotated[
        list[Path] | None, typer.Argument(help="What `bench` has written; several to compare.")
    ] = None,
    output: Annotated[
        Path, typer.Option(help="The picture: .svg of results; .jpg or .png of a sheet.")
    ] = Path("plot.svg"),
    before: Annotated[
        Path | None, typer.Option(help="A folder of pictures, for a sheet of before and after.")
    ] = None,
    after: Annotated[
        Path | None, typer.Option(help="What `run` made of them: the same names.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most pairs on a sheet.")] = MOST_PAIRS,
) -> None:
    """Draw a chart of `bench` results, or a sheet of pictures before and after."""
    try:
        if results and before is None and after is None:
            draw_results(results, output)
        elif before is not None and after is not None and not results:
            from serve_app.cli.plot_sheet import draw_sheet  # OpenCV and Pillow

            draw_sheet(before, after, output, limit)
        else:
            raise CommandError("Name files of `bench`, or --before and --after.")
    except CommandError as error:
        fail(*error.args)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}.")
    typer.echo(f"{output} is written.", err=True)


def draw_results(paths: Sequence[Path], output: Path) -> None:
    """Write the chart.

    Raises:
        CommandError: a file holds no results, or the chart's name does not end with .svg.
        OSError: a file cannot be read or written.
    """
    if output.suffix.lower() != ".svg":
        raise CommandError(f"--output: a chart is an SVG file, not {output.name}.")
    names = [path.stem if len(paths) > 1 else "" for path in paths]
    cases = [(name, case) for name, path in zip(names, paths, strict=True) for case in _cases(path)]
    rows = [(f"{_label(name, case)}, {case['clients']} at once", case) for name, case in cases]
    latency = [(row, [_ms(case, one) for one in LATENCIES]) for row, case in rows]
    panels: list[Panel | Bars] = [Bars("Latency in ms", LATENCIES, latency)]
    curves = _swept(cases, _rate)
    if len(curves) <= MOST_CURVES and all(len(points) > 1 for points in curves.values()):
        where = "clients at once"
        panels = [
            Panel("Throughput", where, "per second", _lines(cases, _rate)),
            Panel("Latency, p95", where, "ms", _lines(cases, _p95)),
            *panels,
        ]
    else:
        rates = [(row, [_rate(case)]) for row, case in rows]
        panels.append(Bars("Pictures a second", ["rate"], rates))
    if any(_failed(case) for _, case in cases):
        failed = [(row, [_failed(case)]) for row, case in rows]
        panels.append(Bars("Requests that failed, in percent", ["share"], failed))
    write(output, panels)


def _cases(path: Path) -> list[Case]:
    try:
        cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
        read = [(_label("", case), _rate(case), _p95(case), _failed(case)) for case in cases]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CommandError(f"{path} is not what `bench` writes.") from None
    if not read:
        raise CommandError(f"{path} has no cases.")
    return list(cases)


def _label(name: str, case: Case) -> str:
    width, height = case["size"]
    size = f"{width}" if width == height else f"{width}x{height}"
    model = str(case["model"]).rsplit("/", 1)[-1]
    return f"{name}: {model} {size}" if name else f"{model} {size}"


def _swept(cases: Sequence[tuple[str, Case]], value: Value) -> dict[str, list[tuple[float, float]]]:
    """Points (clients, value) of each model and size."""
    points: dict[str, list[tuple[float, float]]] = {}
    for name, case in cases:
        points.setdefault(_label(name, case), []).append((case["clients"], value(case)))
    return points


def _lines(cases: Sequence[tuple[str, Case]], value: Value) -> list[Line]:
    return [Line(name, sorted(points)) for name, points in _swept(cases, value).items()]


def _rate(case: Case) -> float:
    return float(case["per_second"])


def _p95(case: Case) -> float:
    return _ms(case, "p95")


def _ms(case: Case, name: str) -> float:
    """0 where every request failed."""
    return float(case["latency_ms"].get(name, 0.0))


def _failed(case: Case) -> float:
    """In percent."""
    return 100 * sum(case["failed"].values()) / float(case["requests"])
