"""Whether one family's overload touches another's latency."""

import asyncio
from collections import Counter
from dataclasses import dataclass

from benchmarks.autoscaling.simulation import Goal, client, fix, loads, seconds_of
from benchmarks.load import Summary, summarise
from tests.clusters.conftest import Service

REPLICAS = 4
RATE = 2.0
"""Erase requests a second: half of what its replicas can do."""
FLOOD = 1.0
"""SDXL requests a second, at eight times what its replica can do."""
BURST = 40
"""Of them at the beginning: fills the replica and the queues of both ingress replicas."""
FACTOR = 1.3


@dataclass(frozen=True, slots=True)
class Found:
    """Erase without and with SDXL's overload."""

    alone: Summary
    beside: Summary
    flood: Counter[int]
    """Answers of SDXL while erase was measured, by status."""
    flood_rate: float
    """What was asked of SDXL, by what it can do."""


async def measure(running: Service, seconds: float) -> Found:
    """Both measurements get their requests at the same moments."""
    await fix(running, {"Erase": REPLICAS, "SD15": 0, "SDXL": 1})
    async with client(running) as asked, client(running) as crowd:
        load, flood = loads(asked), loads(crowd)
        await load.in_turn("Erase", REPLICAS, 3)
        alone = summarise(await load.at_a_rate("Erase", RATE, seconds))
        moments = [(0.0, "SDXL")] * BURST
        moments += [(second / FLOOD, "SDXL") for second in range(1, int((seconds + 20) * FLOOD))]
        flooding = asyncio.create_task(flood.at_moments(moments))
        await asyncio.sleep(5)
        before = len(flood.outcomes)
        beside = summarise(await load.at_a_rate("Erase", RATE, seconds))
        statuses = Counter(outcome.status for outcome in flood.outcomes[before:])
        flooding.cancel()  # the rest of the queue would take minutes
        await asyncio.wait({flooding})
    return Found(alone, beside, statuses, FLOOD * seconds_of("SDXL"))


def report(found: Found) -> list[Goal]:
    """Print the table."""
    print("\n| erase | requests | lost | p50 s | p95 s | p99 s |\n|---|--:|--:|--:|--:|--:|")
    for name, one in (("alone", found.alone), ("beside SDXL's overload", found.beside)):
        print(
            f"| {name} | {one.requests} | {one.lost} | {one.p50_s:.2f} | {one.p95_s:.2f} | "
            f"{one.p99_s:.2f} |"
        )
    print(f"\nSDXL was asked for {found.flood_rate:g} times what it can do: {dict(found.flood)}")
    ratio = found.beside.p95_s / found.alone.p95_s
    return [
        Goal(
            f"p95 of erase is {ratio:.2f} of its unloaded one (at most {FACTOR})", ratio <= FACTOR
        ),
        Goal("no erase request lost", not found.beside.lost + found.alone.lost),
        Goal(
            "SDXL was full: it refused with 503, and nothing else", set(found.flood) == {200, 503}
        ),
    ]
