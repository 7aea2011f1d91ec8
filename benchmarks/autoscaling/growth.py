"""How long families take to come from zero, to grow under load, and to shrink."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.autoscaling.simulation import Goal, client, entry, loads, lost, seconds_of
from benchmarks.autoscaling.throughput import clients_of
from tests.clusters.conftest import Service

DOWNSCALE_S = 20
"""In place of the shipped ten minutes."""
SIZES = {"Erase": 8, "SD15": 4}
"""The shipped `max_replicas`."""
START: Mapping[str, Mapping[str, int]] = {
    "Erase": {"downscale_delay_s": DOWNSCALE_S},
    "SD15": {"downscale_delay_s": DOWNSCALE_S},
}
DOWN_LIMIT_S = 150.0


@dataclass(slots=True)
class Found:
    """Moments, in seconds."""

    from_zero_s: float
    """A lone request for a family at zero, beyond what its model takes."""
    delays_s: Mapping[str, float]
    """The shipped `upscale_delay_s`."""
    up_s: dict[str, dict[int, float]] = field(default_factory=dict)
    """By family and number of replicas: from the first request of the load."""
    down_s: dict[str, float] = field(default_factory=dict)
    """From the last one to the least number of replicas."""
    requests: int = 0
    lost: int = 0


async def measure(running: Service, seconds: float) -> Found:
    """From zero; then a load for as many replicas as there may be; then next to none."""
    async with client(running) as asked:
        load = loads(asked)
        first = await load.send("SD15")
        delays = {
            family: entry(running, family)["autoscaling_config"].get("upscale_delay_s", 30)
            for family in SIZES
        }
        found = Found(first.took_s - seconds_of("SD15"), delays)
        await asyncio.sleep(1)
        watching = [asyncio.create_task(_grown(running, family, seconds)) for family in SIZES]
        await asyncio.gather(
            *(
                load.in_turn(family, most * clients_of(running, family), seconds)
                for family, most in SIZES.items()
            )
        )
        for family, task in zip(SIZES, watching, strict=True):
            found.up_s[family] = await task
        least = {"Erase": 1, "SD15": 0}
        shrinking = [
            asyncio.create_task(_shrunk(running, family, count)) for family, count in least.items()
        ]
        lone = asyncio.create_task(load.in_turn("Erase", 1, DOWN_LIMIT_S, pause_s=1))
        for family, waiting in zip(least, shrinking, strict=True):
            found.down_s[family] = await waiting
        lone.cancel()
        await asyncio.wait({lone})
        found.requests, found.lost = len(load.outcomes), lost(load.outcomes)
    return found


async def _grown(running: Service, family: str, seconds: float) -> dict[int, float]:
    """When each number of replicas ran first."""
    clock = asyncio.get_running_loop().time
    began, seen = clock(), dict[int, float]()
    while clock() - began < seconds and SIZES[family] not in seen:
        count = await asyncio.to_thread(running.running, family)
        seen.setdefault(count, clock() - began)
        await asyncio.sleep(0.25)
    return seen


async def _shrunk(running: Service, family: str, least: int) -> float:
    clock = asyncio.get_running_loop().time
    began = clock()
    while await asyncio.to_thread(running.running, family) != least:
        if clock() - began > DOWN_LIMIT_S:
            return float("inf")
        await asyncio.sleep(0.25)
    return clock() - began


def report(found: Found) -> list[Goal]:
    """Print the table."""
    print("\n| what | family | seconds |\n|---|---|--:|")
    print(
        f"| from zero: a lone request, beyond its model's time | SD15 | {found.from_zero_s:.1f} |"
    )
    for family, seen in found.up_s.items():
        for count, moment in sorted(seen.items()):
            if count > min(seen):
                delay = f"upscale_delay_s {found.delays_s[family]:g}"
                print(f"| {count} replicas under load ({delay}) | {family} | {moment:.1f} |")
    for family, moment in found.down_s.items():
        print(f"| back to the least (downscale_delay_s {DOWNSCALE_S}) | {family} | {moment:.1f} |")
    grown = all(most in found.up_s[family] for family, most in SIZES.items())
    return [
        Goal("families grow to max_replicas under load", grown),
        Goal("and shrink to min_replicas without it", max(found.down_s.values()) < DOWN_LIMIT_S),
        Goal(f"none of {found.requests} requests lost meanwhile", not found.lost),
    ]
