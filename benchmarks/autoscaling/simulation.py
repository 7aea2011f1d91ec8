"""The service with models that wait, on logical GPUs; what all parts of the simulation share."""

import asyncio
import copy
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import httpx
import yaml

from benchmarks import pictures
from benchmarks.load import Load, Outcome, Request
from benchmarks.servers import ROOT
from benchmarks.timed_models.timed import SECONDS
from tests.clusters.conftest import Service, service

SHIPPED = ROOT / "configs" / "app" / "multi-gpu.yaml"
"""Whose queue limits, shares and delays are simulated."""

MODELS = {"Erase": "timed-erase", "SD15": "timed-sd15", "SDXL": "timed-sdxl"}
"""By family."""

INGRESSES = 2
"""Fixed: the edge is measured apart, and a third one's start would take a core from the rest."""

GPUS = 8
CPUS = 64
"""Logical: so many that only GPUs are scarce."""

SIDE = 256
"""Of the pictures that families are kept busy with, in pixels."""

ENVIRONMENT = {
    # Serve's own default: the shipped delays mean little with a faster report.
    "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "10",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.proxy:layers",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True, slots=True)
class Goal:
    """What a part has to show."""

    words: str
    is_met: bool


def seconds_of(family: str) -> float:
    """How long the family's model takes for a picture."""
    return SECONDS[MODELS[family]]


def shipped(name: str) -> dict[str, Any]:
    """The deployment's entry of the shipped config."""
    document = yaml.safe_load(SHIPPED.read_text())
    entries = document["applications"][0]["deployments"]
    return next(copy.deepcopy(entry) for entry in entries if entry["name"] == name)


def started(
    families: Sequence[str], changes: Mapping[str, Mapping[str, Any]], gpus: int = GPUS, **args: Any
) -> AbstractContextManager[Service]:
    """The service with these families, as shipped but for `changes` of their autoscaling.

    Args:
        families: see MODELS.
        changes: by family, what its `autoscaling_config` says otherwise.
        gpus: logical ones of the cluster's only node.
        args: what the application's `args:` say besides.
    """
    entries = []
    for name in families:
        options = shipped(name)
        options["autoscaling_config"].update(changes.get(name, {}))
        options["user_config"]["max_loaded_mb"] = 1  # one model, as a busy checkpoint's replica
        kind = "erase" if name == "Erase" else "diffusion"
        args_entry = {"deployment": name, "kind": kind, "device": "cpu", "models": [MODELS[name]]}
        entries.append((args_entry, options))
    ingress = shipped("Ingress")
    ingress["autoscaling_config"].update(min_replicas=INGRESSES, max_replicas=INGRESSES)
    folder = str(ROOT / "benchmarks" / "timed_models")
    running: AbstractContextManager[Service] = service(
        entries,
        gpus=gpus,
        environment=ENVIRONMENT,
        head={"num_cpus": CPUS},
        ingress=ingress,
        model_folders=[folder],
        default_models=[MODELS[families[0]]],
        **args,
    )
    return running


def entry(running: Service, name: str) -> dict[str, Any]:
    """The deployment's entry of the config that runs; see Service.deploy."""
    entries: list[dict[str, Any]] = running.document["applications"][0]["deployments"]
    return next(one for one in entries if one["name"] == name)


async def fix(running: Service, replicas: Mapping[str, int], limit_s: float = 180) -> None:
    """Have each family run as many replicas, no more and no less.

    Raises:
        TimeoutError: it does not.
    """
    for family, count in replicas.items():
        entry(running, family)["autoscaling_config"].update(
            min_replicas=count, max_replicas=max(1, count), downscale_delay_s=1
        )
    await asyncio.to_thread(running.deploy)
    for family, count in replicas.items():
        await until(running, family, lambda now, count=count: now == count, limit_s)  # type: ignore[misc]


async def until(
    running: Service, family: str, is_so: Callable[[int], bool], limit_s: float
) -> float:
    """Seconds until so many replicas of the family run.

    Raises:
        TimeoutError: they do not within `limit_s`.
    """
    began = time.monotonic()
    while not is_so(count := await asyncio.to_thread(running.running, family)):
        if time.monotonic() - began > limit_s:
            raise TimeoutError(f"{family} has {count} replicas after {limit_s:.0f} s")
        await asyncio.sleep(0.25)
    return time.monotonic() - began


def client(running: Service) -> httpx.AsyncClient:
    """Has room for as many connections as a part may want."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=200)
    return httpx.AsyncClient(
        base_url=running.url, limits=limits, timeout=httpx.Timeout(200, pool=None)
    )


def asking(family: str, side: int = SIDE) -> Callable[[], Request]:
    """Makes requests for the family, always the same JPEG with a hole in it."""
    image = pictures.jpeg(pictures.photo((side, side)))
    mask = pictures.png(pictures.one_hole((side, side)))
    fields = {"model": MODELS[family]}
    if family != "Erase":
        fields |= {"prompt": "a cat", "seed": "1"}

    def make() -> Request:
        files = {"image": image, "mask": mask}
        return {"method": "POST", "url": "/inpaint", "files": files, "data": fields}

    return make


def loads(asked: httpx.AsyncClient) -> Load:
    """Sends small pictures; the kinds of request are the families."""
    return Load(asked, {family: asking(family) for family in MODELS})


def lost(outcomes: Sequence[Outcome]) -> int:
    """How many were not answered with a picture."""
    return sum(not outcome.is_good for outcome in outcomes)


def load_average() -> str:
    """Of the machine, to stand beside what was measured."""
    return "load average " + ", ".join(f"{one:.1f}" for one in os.getloadavg())
