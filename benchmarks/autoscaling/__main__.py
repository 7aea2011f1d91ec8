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

from benchmarks.autoscaling import cold, edge_cost, growth, isolation, throughput
from benchmarks.autoscaling.simulation import Goal, load_average, started

PARTS = ("growth", "throughput", "edge", "isolation", "cold")


async def on_one_cluster(options: argparse.Namespace) -> list[Goal]:
    """All parts but the last."""
    goals: list[Goal] = []
    families = ["Erase", "SD15", "SDXL"]
    with started(families, growth.START) as running:
        if "growth" in options.parts:
            goals += growth.report(await growth.measure(running, options.growth_seconds))
        if "throughput" in options.parts:
            points = await throughput.measure(running, options.sizes, options.warm, options.seconds)
            goals += throughput.report(points)
        if "edge" in options.parts:
            edge_cost.report(*await edge_cost.measure(running, options.sides, options.edge_seconds))
        if "isolation" in options.parts:
            goals += isolation.report(await isolation.measure(running, options.isolation_seconds))
    return goals


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=PARTS, help="default: all, in this order")
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 2, 4, 8], help="replicas")
    parser.add_argument("--warm", type=float, default=12, help="seconds before each is measured")
    parser.add_argument("--seconds", type=float, default=30, help="of each measurement")
    parser.add_argument("--growth-seconds", type=float, default=75, help="of load")
    parser.add_argument("--sides", nargs="+", type=int, default=[256, 512, 1024, 2048])
    parser.add_argument("--edge-seconds", type=float, default=12, help="of each size")
    parser.add_argument("--isolation-seconds", type=float, default=45, help="of each half")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    began = time.monotonic()
    print(f"{load_average()} before", flush=True)
    goals: list[Goal] = []
    if set(options.parts) - {"cold"}:
        goals += asyncio.run(on_one_cluster(options))
    if "cold" in options.parts:
        goals += cold.report(asyncio.run(cold.measure()))
    print(f"\n{load_average()} after {time.monotonic() - began:.0f} s\n")
    report(goals)
    sys.exit(0 if all(goal.is_met for goal in goals) else 1)


def report(goals: Sequence[Goal]) -> None:
    """Print which goals are met."""
    for goal in goals:
        print(f"{'met   ' if goal.is_met else 'MISSED'} {goal.words}")


if __name__ == "__main__":
    main()
