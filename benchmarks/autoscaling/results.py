"""What the simulation found, as JSON and as a picture."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.autoscaling import edge_cost, growth, isolation, throughput
from serve_app.charts import Bars, Line, Panel, write


def keep(path: Path, found: Mapping[str, object]) -> None:
    """Write everything that was measured, by part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, default=_fields), encoding="utf-8")


def _fields(value: Any) -> dict[str, Any]:
    """Of a dataclass; `dataclasses.asdict` makes nonsense of a Counter."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def throughput_panel(points: Sequence[throughput.Point]) -> Panel:
    """What replicas did, as so many that are always busy; dashed: the goal at the most of them."""
    families = sorted({one.family for one in points})
    most = max(one.replicas for one in points)
    lines = [
        Line(
            name, [(one.replicas, one.share * one.replicas) for one in points if one.family == name]
        )
        for name in families
    ]
    return Panel(
        f"Throughput, in replicas that are always busy; dashed: {throughput.SHARE} of {most}",
        "replicas",
        "always busy",
        [*lines, Line("ideal", [(0, 0), (most, most)])],
        throughput.SHARE * most,
    )


def growth_panel(found: growth.Found) -> Panel:
    """Replicas that run, as steps."""
    lines = []
    for family, seen in sorted(found.up_s.items()):
        points: list[tuple[float, float]] = []
        for count, moment in sorted(seen.items(), key=lambda one: one[1]):
            points += [(moment, points[-1][1])] if points else []
            points.append((moment, count))
        lines.append(Line(family, points))
    return Panel(
        "Replicas that run after a load for the most of them begins", "seconds", "replicas", lines
    )


def cost_panel(costs: Sequence[edge_cost.Cost]) -> Bars:
    """The edge's CPU milliseconds of one request."""
    return Bars(
        "CPU of the edge for one request, ms",
        ["proxy", "ingress"],
        [(one.what, (one.cpu_ms["proxy"], one.cpu_ms["Ingress"])) for one in costs],
    )


def isolation_panel(found: isolation.Found) -> Bars:
    """Latency of erase without and with the neighbour's overload."""
    return Bars(
        "Latency of erase while SDXL is overloaded, s",
        ["alone", "beside the overload"],
        [
            (name, (getattr(found.alone, f"{name}_s"), getattr(found.beside, f"{name}_s")))
            for name in ("p50", "p95", "p99")
        ],
    )


def draw(path: Path, panels: Sequence[Panel | Bars]) -> None:
    """One file with the charts of the parts that ran; none without any."""
    if panels:
        write(path, panels)
