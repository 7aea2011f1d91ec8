"""How families scale: the real service on logical GPUs, with models that wait.

    python -m benchmarks.autoscaling [growth throughput edge isolation cold] [--sizes 1 2 4 8]

Real Ray Serve, proxy, ingress and replicas with the queue limits, shares and delays of
configs/app/multi-gpu.yaml; a picture takes 1 s (erase), 3 s (SD 1.5), 8 s (SDXL), and no core. The
ingress has two replicas throughout, a replica has no weights to load, and families shrink after
20 s, not after ten minutes. Prints tables, and exits with 1 where a goal is missed.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.autoscaling import (
    capacity,
    cold,
    edge_cost,
    growth,
    isolation,
    results,
    throughput,
)
from benchmarks.autoscaling.simulation import Goal, load_average, seconds_of, shipped, started
from serve_app.charts import Bars, Panel

PARTS = ("growth", "throughput", "edge", "isolation", "cold")
PLAN_SIDE = 1024
"""Of the pictures that capacity is worked out for."""


@dataclass(slots=True)
class Run:
    """What has been found so far."""

    goals: list[Goal] = field(default_factory=list)
    found: dict[str, object] = field(default_factory=dict)
    panels: list[Panel | Bars] = field(default_factory=list)


async def on_one_cluster(options: argparse.Namespace, run: Run) -> None:
    """All parts but the last."""
    families = ["Erase", "SD15", "SDXL"]
    with started(families, growth.START) as running:
        if "growth" in options.parts:
            grown = await growth.measure(running, options.growth_seconds)
            run.goals += growth.report(grown)
            run.found["growth"] = grown
            run.panels.append(results.growth_panel(grown))
        if "throughput" in options.parts:
            points = await throughput.measure(running, options.sizes, options.warm, options.seconds)
            run.goals += throughput.report(points)
            run.found["throughput"] = points
            run.panels.append(results.throughput_panel(points))
        if "edge" in options.parts:
            idle, costs = await edge_cost.measure(running, options.sides, options.edge_seconds)
            edge_cost.report(idle, costs)
            plan(costs)
            run.found["edge"] = {"idle": idle, "costs": costs}
            run.panels.append(results.cost_panel(costs))
        if "isolation" in options.parts:
            beside = await isolation.measure(running, options.isolation_seconds)
            run.goals += isolation.report(beside)
            run.found["isolation"] = beside
            run.panels.append(results.isolation_panel(beside))


def plan(costs: Sequence[edge_cost.Cost]) -> None:
    """Print what large loads of pictures of PLAN_SIDE need, if their cost was measured."""
    for cost in costs:
        family, _, rest = cost.what.partition(", ")
        if rest.startswith(f"{PLAN_SIDE} px"):
            share = shipped(family)["ray_actor_options"]["num_gpus"]
            work = capacity.Work(seconds_of(family), share, PLAN_SIDE**2)
            capacity.report(cost, work)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=PARTS, help="default: all, in this order")
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 2, 4, 8], help="replicas")
    parser.add_argument("--warm", type=float, default=12, help="seconds before each is measured")
    parser.add_argument("--seconds", type=float, default=42, help="of each measurement")
    parser.add_argument("--growth-seconds", type=float, default=75, help="of load")
    parser.add_argument("--sides", nargs="+", type=int, default=[256, 512, 1024, 2048])
    parser.add_argument("--edge-seconds", type=float, default=16, help="of each size")
    parser.add_argument("--isolation-seconds", type=float, default=45, help="of each half")
    kept = Path("benchmarks/results")
    parser.add_argument("--json", type=Path, default=kept / "autoscaling.json")
    parser.add_argument("--svg", type=Path, default=kept / "autoscaling.svg")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    began = time.monotonic()
    print(f"{load_average()} before", flush=True)
    run = Run()
    try:
        if set(options.parts) - {"cold"}:
            asyncio.run(on_one_cluster(options, run))
        if "cold" in options.parts:
            run.found["cold"] = warmed = asyncio.run(cold.measure())
            run.goals += cold.report(warmed)
    finally:  # what the other parts have found took a quarter of an hour
        run.found["goals"] = run.goals
        results.keep(options.json, run.found)
        results.draw(options.svg, run.panels)
    print(f"\n{load_average()} after {time.monotonic() - began:.0f} s\n")
    report(run.goals)
    sys.exit(0 if all(goal.is_met for goal in run.goals) else 1)


def report(goals: Sequence[Goal]) -> None:
    """Print which goals are met."""
    for goal in goals:
        print(f"{'met   ' if goal.is_met else 'MISSED'} {goal.words}")


if __name__ == "__main__":
    main()
