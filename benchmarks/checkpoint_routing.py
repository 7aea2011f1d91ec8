"""Three checkpoints on few replicas: who should get a request?

    python -m benchmarks.checkpoint_routing [--replicas 2 3] [--seconds 75]

Real Ray Serve on logical GPUs, one for each replica; a checkpoint takes a whole replica, and its
loads and runs are waits. Every way gets the same requests at the same moments (Poisson arrivals,
six out of ten for one checkpoint):

* two-choices: one deployment; Serve's own router, the shorter queue of two replicas.
* affinity: one deployment; deployments/request_router.py.
* apart: one deployment for each checkpoint, started on demand and stopped when idle.
"""

import argparse
import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S", "1")

import numpy as np
import ray
from ray import serve
from ray.serve import Deployment
from ray.serve.handle import DeploymentHandle

from deployments.affinity import MODELS, RoutingStats
from deployments.model_cache import ModelCache
from deployments.request_router import BY_MODEL

SHARES = {"hot": 0.6, "warm": 0.3, "rare": 0.1}
LOAD_S = 10.0
RUN_S = 2.0
LOAD = 0.5
"""Arrivals, as part of what the replicas can do without ever loading."""
GIVE_UP_S = 120.0

Handles = dict[str, DeploymentHandle[Any]]


class Replica:
    """Room for one checkpoint; one run at a time, as on a device."""

    def __init__(self, only: str | None = None) -> None:
        self._loads = 0
        self._device = asyncio.Lock()
        self._cache = ModelCache[str](self._load, lambda name: 1, budget=1)
        if only:
            time.sleep(LOAD_S)
            self._loads = 1
            self._cache = ModelCache[str](self._known, lambda name: 1, budget=1)

    async def paint(self, model: str) -> tuple[str, int]:
        """Who answered, and how often it has loaded so far."""
        async with self._cache.lease(model), self._device:
            await asyncio.sleep(RUN_S)
        return serve.get_replica_context().replica_id.unique_id, self._loads

    def record_routing_stats(self) -> RoutingStats:
        """What Serve passes on to the routers."""
        return {MODELS: list(self._cache.held)}

    async def _load(self, name: str) -> str:
        self._loads += 1
        await asyncio.sleep(LOAD_S)
        return name

    async def _known(self, name: str) -> str:
        return name


@dataclass(frozen=True)
class Outcome:
    """What one way made of the traffic."""

    latencies_s: list[float]
    loads: int
    lost: int
    lasted_s: float

    def row(self, replicas: int, way: str) -> str:
        """One line of the table."""
        p50, p95 = np.percentile(self.latencies_s, (50, 95)) if self.latencies_s else (0.0, 0.0)
        done = len(self.latencies_s)
        return (
            f"| {replicas} | {way} | {done + self.lost} | {self.loads} | {p50:.1f} | {p95:.1f} "
            f"| {60 * done / self.lasted_s:.0f} | {self.lost} |"
        )


def arrivals(seconds: float, rate: float) -> list[tuple[float, str]]:
    """Moments and checkpoints, the same for every way."""
    dice = np.random.default_rng(1)
    now, found = 0.0, []
    while (now := now + dice.exponential(1 / rate)) < seconds:
        found.append((now, str(dice.choice(list(SHARES), p=list(SHARES.values())))))
    return found


def together(name: str, replicas: int, router: dict[str, Any]) -> Handles:
    """All checkpoints in one deployment. A process keeps the router of a name: take a new one."""
    deployment: Deployment = serve.deployment(  # type: ignore[assignment]
        Replica,
        name=name,
        num_replicas=replicas,
        max_ongoing_requests=4,
        graceful_shutdown_timeout_s=1,
        request_router_config=router,
        ray_actor_options={"num_cpus": 0.1, "num_gpus": 1},
    )
    handle = serve.run(deployment.bind(), name=name, route_prefix=None)
    return dict.fromkeys(SHARES, handle)


def two_choices(replicas: int) -> Handles:
    """Serve's default."""
    return together("two-choices", replicas, {})


def affinity(replicas: int) -> Handles:
    """Ours."""
    return together("affinity", replicas, BY_MODEL)


def apart(replicas: int) -> Handles:
    """One deployment for each checkpoint, of at most one replica."""
    handles = {}
    for name in SHARES:
        deployment: Deployment = serve.deployment(  # type: ignore[assignment]
            Replica,
            name=name,
            max_ongoing_requests=4,
            graceful_shutdown_timeout_s=1,
            autoscaling_config={
                "min_replicas": 0,
                "max_replicas": 1,
                "target_ongoing_requests": 1,
                "upscale_delay_s": 0,
                "downscale_delay_s": 5,
                "look_back_period_s": 11,
            },
            ray_actor_options={"num_cpus": 0.1, "num_gpus": 1},
        )
        handles[name] = serve.run(deployment.bind(name), name=name, route_prefix=None)
    return handles


WAYS: dict[str, Callable[[int], Handles]] = {
    "two-choices": two_choices,
    "affinity": affinity,
    "apart": apart,
}


async def drive(handles: Handles, requests: Sequence[tuple[float, str]]) -> Outcome:
    """Send the requests at their moments, and wait for the last answer."""
    began = time.perf_counter()
    loads: Counter[str] = Counter()
    latencies: list[float] = []

    async def ask(moment: float, model: str) -> None:
        await asyncio.sleep(moment - (time.perf_counter() - began))
        sent = time.perf_counter()
        response = handles[model].paint.remote(model)
        try:
            async with asyncio.timeout(GIVE_UP_S):
                name, count = await response
        except TimeoutError:
            response.cancel()
            return
        latencies.append(time.perf_counter() - sent)
        loads[name] = max(loads[name], count)

    await asyncio.gather(*(ask(moment, model) for moment, model in requests))
    lost = len(requests) - len(latencies)
    return Outcome(latencies, loads.total(), lost, time.perf_counter() - began)


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--replicas", type=int, nargs="+", default=[2, 3])
    options.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    options.add_argument("--seconds", type=float, default=75)
    asked = options.parse_args()
    print("| replicas | way | requests | loads | p50 s | p95 s | answers a minute | lost |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for replicas in asked.replicas:
        ray.init(
            address="local",
            num_cpus=4,
            num_gpus=replicas,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100 * 2**20,
        )
        serve.start(proxy_location="Disabled")
        requests = arrivals(asked.seconds, LOAD * replicas / RUN_S)
        for way in asked.ways:
            handles = WAYS[way](replicas)
            print(asyncio.run(drive(handles, requests)).row(replicas, way), flush=True)
            for name in set(serve.status().applications):
                serve.delete(name)
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()
