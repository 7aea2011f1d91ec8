"""Ten times the load that the service can bear: what becomes of the requests, memory, neighbours.

    python -m benchmarks.overload [--seconds 60] [--times 10] [--size 512x512] [--svg FILE]

A real `serve run` with the shipped limits, one replica of each deployment, and models that wait in
place of computing, so that capacity is known and the machine's cores are the edge's. It measures a
lone client, what eight clients in turn can get, an open loop at 0.5 to `--times` of that (the last
one for `--seconds`, with a lone client of another family beside it), and how long the service takes
to be as fast as before. Exits with 1 when a goal is missed.
"""

import argparse
import asyncio
import copy
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml

from benchmarks import pictures, processes
from benchmarks.load import Load, Outcome, Request, Summary, summarise
from benchmarks.servers import ROOT, Server, serve_run
from inpaint.resources import default_serve_config
from serve_app.charts import Line, Panel, write

ERASE, NEIGHBOUR = "timed-erase", "timed-sd15"
NEIGHBOUR_S = 0.3
CURVE = (0.5, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0)
"""Multiples of the sustainable load, before the last one."""
CLIENTS = 8
LONE_REQUESTS = 60
RECOVERY_PROBES = 20
MEMORY_GROWTH = 1.05
"""Last quarter of the overload against its second quarter: by then every queue is full."""
RECOVERY_S = 10.0
"""Beyond the time in which the full queue is worked off."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How many requests can be ahead of one that was let in."""

    queued: int
    replica: int
    ingress: int
    proxy: int

    @property
    def ahead(self) -> int:
        """Where the family's own queue is full first, the ingress never is, and the reverse."""
        family = self.queued + self.replica
        return family if family < self.ingress else self.ingress + self.proxy


@dataclass(frozen=True, slots=True)
class Point:
    """One open loop."""

    times: float
    seconds: float
    """From the first request to the last answer."""
    summary: Summary
    refused: int
    wrong: Counter[str]
    """Answers that are neither the picture nor a proper refusal, by what they were."""
    by_proxy: int
    """Refusals in Serve's own words."""


def service() -> tuple[dict[str, Any], Bound]:
    """The shipped config with the two families of waiting models, one replica each."""
    document = copy.deepcopy(yaml.safe_load(default_serve_config().read_text()))
    application = document["applications"][0]
    application["args"].update(
        model_folders=[str(ROOT / "benchmarks" / "timed_models")],
        default_models=[ERASE],
        families=[
            {"deployment": "Erase", "kind": "erase", "device": "cpu", "models": [ERASE]},
            {"deployment": "SD15", "kind": "diffusion", "device": "cpu", "models": [NEIGHBOUR]},
        ],
    )
    entries = {entry["name"]: entry for entry in application["deployments"]}
    for name in ("Ingress", "Erase", "SD15"):
        entries[name].pop("autoscaling_config")
        entries[name]["num_replicas"] = 1
        entries[name]["ray_actor_options"] = {"num_cpus": 0.1}
    kept = [entries[name] for name in ("Ingress", "Registry", "Erase", "SD15")]
    application["deployments"] = kept
    erase, ingress = entries["Erase"], entries["Ingress"]
    bound = Bound(
        erase["max_queued_requests"],
        erase["max_ongoing_requests"],
        ingress["max_ongoing_requests"],
        ingress["max_queued_requests"],
    )
    return document, bound


def makes(size: tuple[int, int]) -> dict[str, Any]:
    """What makes the next request of each kind."""
    image, mask = pictures.jpeg(pictures.photo(size)), pictures.png(pictures.one_hole(size))
    own = pictures.jpeg(pictures.photo((512, 512))), pictures.png(pictures.one_hole((512, 512)))

    def erase() -> Request:
        files = {"image": image, "mask": mask}
        return {"method": "POST", "url": "/inpaint", "files": files, "data": {"model": ERASE}}

    def neighbour() -> Request:
        files = dict(zip(("image", "mask"), own, strict=True))
        fields = {"model": NEIGHBOUR, "prompt": "a cat", "sd_steps": 1, "seed": 1}
        return {"method": "POST", "url": "/inpaint", "files": files, "data": fields}

    return {"erase": erase, "neighbour": neighbour}


def wrong_with(outcome: Outcome) -> str:
    """What is wrong with an outcome; empty for a success and for a proper refusal."""
    if outcome.is_good or (outcome.status == 503 and outcome.retry_after_s is not None):
        return ""
    if outcome.status == 503:
        return f"503 without Retry-After: {outcome.detail[:60]}"
    return f"{outcome.status}: {outcome.detail[:60]}"


def point(times: float, outcomes: Sequence[Outcome]) -> Point:
    """Count what became of an open loop."""
    refused = [outcome for outcome in outcomes if outcome.status == 503]
    wrong = Counter(words for outcome in outcomes if (words := wrong_with(outcome)))
    by_proxy = sum(not outcome.detail.startswith("{") for outcome in refused)
    took = max(one.sent_s + one.took_s for one in outcomes) - min(one.sent_s for one in outcomes)
    return Point(times, took, summarise(outcomes), len(refused), wrong, by_proxy)


async def sample_memory(server: Server, into: list[tuple[float, float, float]], load: Load) -> None:
    """Each second: the moment, what the serving processes hold, and what all hold, in MiB."""
    while True:
        held = await asyncio.to_thread(processes.held_by, server.process.pid)
        everything = processes.memory_mib(held, {one.kind for one in held})
        into.append((load.now_s, processes.memory_mib(held), everything))
        await asyncio.sleep(1)


async def recovered_after(load: Load, fast_s: float) -> tuple[float, Summary]:
    """Seconds until a lone request is as fast as unloaded, and what became of the next ones."""
    began = load.now_s
    while True:
        sent = load.now_s
        outcome = await load.send("erase")
        if outcome.is_good and outcome.took_s <= fast_s:
            break
        await asyncio.sleep(0.1)
    return sent - began, summarise([await load.send("erase") for _ in range(RECOVERY_PROBES)])


@dataclass(slots=True)
class Measured:
    """Everything that a run found."""

    lone: Summary
    sustainable: float
    points: list[Point]
    memory: list[tuple[float, float, float]]
    """Of the overload: second, serving MiB, all MiB."""
    neighbour_before: Summary
    neighbour_during: Summary
    recovery_s: float
    after: Summary


async def measure(server: Server, options: argparse.Namespace) -> Measured:
    """Run everything against a server."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=200)
    timeout = httpx.Timeout(options.patience, pool=None)
    async with httpx.AsyncClient(base_url=server.url, timeout=timeout, limits=limits) as client:
        load = Load(client, makes(options.size))
        await load.in_turn("erase", 2, 3)  # warm
        await load.in_turn("neighbour", 1, 2)
        lone = summarise([await load.send("erase") for _ in range(LONE_REQUESTS)])
        before = summarise(await load.in_turn("neighbour", 1, 6))
        busy = await load.in_turn("erase", CLIENTS, options.point_seconds)
        alone = point(1, busy)
        sustainable = alone.summary.good / alone.seconds
        print(f"sustainable: {sustainable:.1f} a second; lone p99 {lone.p99_s:.2f} s", flush=True)
        points = []
        for times in CURVE:
            outcomes = await load.at_a_rate("erase", times * sustainable, options.point_seconds)
            points.append(point(times, outcomes))
            print(f"{times:g} x: {points[-1].summary.statuses}", flush=True)
        return await overload(server, load, options, lone, sustainable, points, before)


async def overload(
    server: Server,
    load: Load,
    options: argparse.Namespace,
    lone: Summary,
    sustainable: float,
    points: list[Point],
    before: Summary,
) -> Measured:
    """The last open loop, with everything that is watched meanwhile."""
    memory: list[tuple[float, float, float]] = []
    sampling = asyncio.create_task(sample_memory(server, memory, load))
    seconds, began = options.seconds, load.now_s

    async def recover() -> tuple[float, Summary]:
        await asyncio.sleep(seconds)
        return await recovered_after(load, 1.25 * lone.p99_s)

    outcomes, beside, (recovery_s, after) = await asyncio.gather(
        load.at_a_rate("erase", options.times * sustainable, seconds),
        load.in_turn("neighbour", 1, seconds),
        recover(),
    )
    sampling.cancel()
    points.append(point(options.times, outcomes))
    memory = [(moment - began, own, everything) for moment, own, everything in memory]
    during = summarise(beside)
    return Measured(lone, sustainable, points, memory, before, during, recovery_s, after)


def growth(memory: Sequence[tuple[float, float, float]], seconds: float) -> float:
    """What the serving processes hold in the last quarter, by what they hold in the second one."""
    moments = np.array([moment for moment, _, _ in memory])
    own = np.array([mib for _, mib, _ in memory])
    second = own[(moments >= seconds / 4) & (moments < seconds / 2)]
    last = own[(moments >= 3 * seconds / 4) & (moments < seconds)]
    return float(last.mean() / second.mean()) if second.size and last.size else float("nan")


def judge(found: Measured, bound: Bound, options: argparse.Namespace) -> Mapping[str, bool]:
    """Each goal, in words, and whether it is met."""
    bound_s = bound.ahead / found.sustainable
    worst, most_s = found.points[-1], 2 * found.lone.p99_s + bound_s
    change = growth(found.memory, options.seconds)
    settled = bound_s + RECOVERY_S
    return {
        f"accepted p99 {worst.summary.p99_s:.2f} s <= 2 x unloaded p99 {found.lone.p99_s:.2f} s "
        f"+ queue bound {bound_s:.2f} s ({bound.ahead} requests ahead)": worst.summary.p99_s
        <= most_s,
        "every other answer is 503 with Retry-After, at every load": not any(
            one.wrong for one in found.points
        ),
        f"memory in the last quarter is {change:.3f} of that in the second one "
        f"(at most {MEMORY_GROWTH})": change <= MEMORY_GROWTH,
        f"as fast as unloaded {found.recovery_s:.1f} s after the last request (at most "
        f"{settled:.1f} s, of which the full queue is {bound_s:.1f} s), and then "
        f"{found.after.good} of {found.after.requests} answered": found.recovery_s <= settled
        and found.after.lost == 0,
    }


def report(found: Measured, bound: Bound, goals: Mapping[str, bool]) -> None:
    """Markdown."""
    print(f"\nload average {os.getloadavg()}; sustainable {found.sustainable:.1f} a second")
    print(f"{bound}: at most {bound.ahead} ahead, {bound.ahead / found.sustainable:.1f} s\n")
    print(
        "| offered | requests | answered | refused (by Serve's proxy) | other "
        "| answered a second | p50 s | p99 s | longest s |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    )
    for one in found.points:
        told = one.summary
        print(
            f"| {one.times:g} x | {told.requests} | {told.good} | {one.refused} ({one.by_proxy}) | "
            f"{sum(one.wrong.values())} | {told.good / one.seconds:.1f} | {told.p50_s:.2f} | "
            f"{told.p99_s:.2f} | {told.longest_s:.2f} |"
        )
        for words, count in one.wrong.items():
            print(f"|   | {count} | {words} |")
    before, during = found.neighbour_before, found.neighbour_during
    print(
        f"\nanother family, lone client: p95 {before.p95_s:.2f} s before, {during.p95_s:.2f} s "
        f"during; {during.lost} of {during.requests} lost {during.statuses}"
    )
    own = [mib for _, mib, _ in found.memory]
    print(
        f"memory of ingress, replicas and proxy (PSS): {own[0]:.0f} MiB at the start, "
        f"{max(own):.0f} at most, {own[-1]:.0f} at the end\n"
    )
    for words, is_met in goals.items():
        print(f"{'met   ' if is_met else 'MISSED'} {words}")


def draw(path: Path, found: Measured, bound: Bound) -> None:
    """The curve, and memory during the overload."""
    rates = [(one.times, one.summary.good / one.seconds) for one in found.points]
    refused = [(one.times, one.refused / one.seconds) for one in found.points]
    waits = [(one.times, one.summary.p99_s) for one in found.points]
    most_s = 2 * found.lone.p99_s + bound.ahead / found.sustainable
    offered = "offered load, by the sustainable one"
    write(path, [
        Panel("Answered and refused", offered, "requests a second",
              [Line("answered", rates), Line("refused (503)", refused)]),
        Panel("p99 of answered requests; dashed: twice the unloaded p99, and the queue bound",
              offered, "seconds", [Line("p99", waits)], most_s),
        Panel("Memory during the last load (PSS)", "seconds", "MiB",
              [Line("edge, replicas", [(s, own) for s, own, _ in found.memory if s >= 0]),
               Line("with Ray's own", [(s, all_) for s, _, all_ in found.memory if s >= 0])]),
    ])  # fmt: skip


def _size(words: str) -> tuple[int, int]:
    width, _, height = words.partition("x")
    return int(height), int(width)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60, help="of the last load")
    parser.add_argument("--times", type=float, default=10, help="the last load")
    parser.add_argument("--point-seconds", type=float, default=20, help="of the other loads")
    parser.add_argument("--erase-seconds", type=float, default=0.2, help="that a picture takes")
    parser.add_argument("--patience", type=float, default=120, help="of a client, in seconds")
    parser.add_argument("--size", type=_size, default=(512, 512), help="of pictures, WxH")
    parser.add_argument("--svg", type=Path, default=Path("benchmarks/results/overload.svg"))
    parser.add_argument("--json", type=Path, help="every outcome's sums, for further use")
    options = parser.parse_args()
    document, bound = service()
    env = {
        "TIMED_ERASE_S": str(options.erase_seconds),
        "TIMED_SD15_S": str(NEIGHBOUR_S),
        "OMP_NUM_THREADS": "1",
    }
    with serve_run(document, "/readyz", env) as server:
        found = asyncio.run(measure(server, options))
    goals = judge(found, bound, options)
    report(found, bound, goals)
    draw(options.svg, found, bound)
    if options.json:
        sums = [(one.times, one.summary.good, one.refused, one.summary.p99_s)
                for one in found.points]  # fmt: skip
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"points": sums, "memory": found.memory}, indent=1))
    sys.exit(0 if all(goals.values()) else 1)


if __name__ == "__main__":
    main()
