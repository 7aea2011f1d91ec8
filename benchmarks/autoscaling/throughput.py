"""Answers a second against replicas, each family kept busy by clients that ask again and again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.autoscaling.simulation import Goal, client, entry, fix, loads, lost, seconds_of
from tests.clusters.conftest import Service

FAMILIES = ("Erase", "SD15")
SHARE = 0.9
"""Least part of the ideal."""
SLIDE_S = 12.0
"""Three batches of four pictures of 1 s, four pictures of 3 s."""


@dataclass(frozen=True, slots=True)
class Point:
    """One family with so many replicas."""

    family: str
    replicas: int
    clients: int
    rate: float
    """Pictures a second."""
    share: float
    """Of what the replicas could do if each always had a picture."""
    lost: int


def rate_of(moments: Sequence[float], begin: float, end: float) -> float:
    """Answers a second between two moments, as the mean over windows that begin in the first
    SLIDE_S seconds and end as much before `end`.

    Replicas answer in batches. One window would count a batch more or less, according to where
    between two of them it begins.
    """  # noqa: D205  one sentence
    length = end - begin - SLIDE_S
    shares = (
        min(begin + SLIDE_S, moment) - max(begin, moment - length) for moment in moments
    )  # of the windows, those that an answer lies in
    return sum(max(0.0, share) for share in shares) / SLIDE_S / length


def clients_of(running: Service, family: str) -> int:
    """How many clients keep one replica busy: what the autoscaler aims at, or one more than it
    runs, so that the next picture is there.
    """  # noqa: D205  one sentence
    options = entry(running, family)
    target: int = options["autoscaling_config"]["target_ongoing_requests"]
    most: int = options["max_ongoing_requests"]
    return max(target, min(2, most))


async def measure(
    running: Service, sizes: Sequence[int], warm_s: float, seconds: float
) -> list[Point]:
    """Points of both families, measured at the same time."""
    points = []
    for size in sizes:
        await fix(running, dict.fromkeys(FAMILIES, size))
        counts = {family: size * clients_of(running, family) for family in FAMILIES}
        async with client(running) as asked:
            load = loads(asked)
            begin, sending = load.now_s + warm_s, warm_s + seconds
            found = await asyncio.gather(
                *(load.in_turn(family, count, sending) for family, count in counts.items())
            )
        for (family, count), outcomes in zip(counts.items(), found, strict=True):
            takes = seconds_of(family)
            ends = [one.sent_s + one.took_s for one in outcomes if one.is_good]
            rate = rate_of(ends, begin, begin + seconds)
            share = rate * takes / size
            points.append(Point(family, size, count, rate, share, lost(outcomes)))
            print(points[-1], flush=True)
    return points


def report(points: Sequence[Point]) -> list[Goal]:
    """Print the table."""
    print("\n| family | replicas | clients | pictures a second | ideal | share of ideal | lost |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for one in sorted(points, key=lambda one: (one.family, one.replicas)):
        print(
            f"| {one.family} | {one.replicas} | {one.clients} | {one.rate:.2f} | "
            f"{one.rate / one.share:.2f} | {one.share:.2f} | {one.lost} |"
        )
    worst = min(points, key=lambda one: one.share)
    return [
        Goal(
            f"at least {SHARE} of the ideal throughput at every size (least: {worst.share:.2f}, "
            f"{worst.family} with {worst.replicas})",
            worst.share >= SHARE,
        ),
        Goal("no request lost meanwhile", not any(one.lost for one in points)),
    ]
