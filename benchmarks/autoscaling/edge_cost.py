"""CPU seconds that a request takes of the edge, apart from the models, which only wait here."""

import asyncio
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from benchmarks import processes, ray_state
from benchmarks.autoscaling.simulation import asking, client, fix, lost
from benchmarks.load import Load
from tests.clusters.conftest import Service

REPLICAS, CLIENTS = 4, 4
SETTLE_S, IDLE_S = 10.0, 15.0
"""What requests leave behind is not what processes take at rest."""
STEPS = 50
"""Of a diffusion run, the default: each one is an event on its way to the ingress."""
DIFFUSION_SIDES = (512, 1024)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one kind of request."""

    what: str
    requests: int
    lost: int
    sent_kb: float
    answered_kb: float
    cpu_ms: Mapping[str, float]
    """Of one request, by process; what they take at rest is not in it."""
    stored_mib: float
    """The most that was in Ray's object store at once, with CLIENTS requests on their way."""


def cpu_seconds() -> dict[str, float]:
    """What this program's processes have taken so far: by deployment, "proxy", and "Ray"."""
    found: dict[str, float] = defaultdict(float)
    for held in processes.held_by(os.getpid()):
        if held.pid == os.getpid():
            continue  # the clients
        try:
            times = psutil.Process(held.pid).cpu_times()
        except psutil.Error:
            continue
        name = held.name if held.kind in processes.SERVING else "Ray"
        found[name] += times.user + times.system
    return found


async def taken_by(seconds: float) -> dict[str, float]:
    """CPU seconds a second while nobody asks."""
    before = await asyncio.to_thread(cpu_seconds)
    await asyncio.sleep(seconds)
    after = await asyncio.to_thread(cpu_seconds)
    return {name: (after[name] - before.get(name, 0)) / seconds for name in after}


async def watch_store(running: Service, seen: list[float]) -> None:
    """Twice a second, until cancelled: MiB in the object store."""
    while True:
        seen.append((await asyncio.to_thread(ray_state.stored, running.cluster.address))[0])
        await asyncio.sleep(0.5)


async def measure(
    running: Service, sides: Sequence[int], seconds: float
) -> tuple[dict[str, float], list[Cost]]:
    """What the processes take at rest, in CPU seconds a second, and the cost of each request.

    One family after the other; erase at every size, SD15 at DIFFUSION_SIDES. Each kind is asked for
    twice as long, the second half for the object store: who looks into it takes CPU time as well.
    """
    await fix(running, {"Erase": REPLICAS, "SD15": REPLICAS})
    kinds = {f"Erase, {side} px": asking("Erase", side) for side in sides}
    kinds |= {f"SD15, {side} px, {STEPS} steps": asking("SD15", side) for side in DIFFUSION_SIDES}
    costs = []
    async with client(running) as asked:
        load = Load(asked, kinds)
        for kind in kinds:
            await load.in_turn(kind, CLIENTS, 3)  # the first ones import and connect
        await asyncio.sleep(SETTLE_S)
        idle = await taken_by(IDLE_S)
        for kind, make in kinds.items():
            answer = await asked.send(asked.build_request(**make()))
            sent = int(answer.request.headers["content-length"])
            began, before = load.now_s, await asyncio.to_thread(cpu_seconds)
            outcomes = await load.in_turn(kind, CLIENTS, seconds)
            after, took = await asyncio.to_thread(cpu_seconds), load.now_s - began
            cpu_ms = {
                name: 1e3 * (after[name] - before.get(name, 0) - idle.get(name, 0) * took)
                / len(outcomes)
                for name in after
            }  # fmt: skip
            seen: list[float] = []
            watching = asyncio.create_task(watch_store(running, seen))
            outcomes += await load.in_turn(kind, CLIENTS, seconds)
            watching.cancel()
            sizes = sent / 1e3, len(answer.content) / 1e3
            costs.append(
                Cost(kind, len(outcomes), lost(outcomes), *sizes, cpu_ms, max(seen, default=0))
            )
    return idle, costs


def report(idle: Mapping[str, float], costs: Sequence[Cost]) -> None:
    """Print the tables."""
    print(
        "\n| request | requests | lost | kB in | kB out | proxy | ingress | edge | replica "
        "| Ray's own | object store MiB |"
    )
    print("|---|" + "--:|" * 10)
    for one in costs:
        proxy, ingress = one.cpu_ms["proxy"], one.cpu_ms["Ingress"]
        replica = one.cpu_ms[one.what.partition(",")[0]]
        print(
            f"| {one.what} | {one.requests} | {one.lost} | {one.sent_kb:.0f} | "
            f"{one.answered_kb:.0f} | {proxy:.0f} | {ingress:.0f} | {proxy + ingress:.0f} | "
            f"{replica:.0f} | {one.cpu_ms['Ray']:.0f} | {one.stored_mib:.1f} |"
        )
    print("\nCPU milliseconds of one request. At rest, in milliseconds a second: ", end="")
    print(", ".join(f"{name} {1e3 * value:.0f}" for name, value in sorted(idle.items())))
