"""Two thousand mixed requests over all families, and what the server holds afterwards.

    python -m benchmarks.soak [--requests 2000] [--warm-up 500] [--svg FILE]

A real `serve run` with every family, small random weights in the published files' formats, and the
real PaddleOCR where it is installed. Requests of all kinds (soak_requests.py) come from a few
clients in turn, in an order drawn once; after each hundred the server rests, and is looked at:

* memory: proportional set size of ingress, replicas and proxy, without shared memory
* threads and open files of the same processes, and which processes and actors there are
* the object store, as Ray's own node manager states it

Exits with 1 when a goal is missed.
"""

import argparse
import asyncio
import gc
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml

from benchmarks import processes, ray_state
from benchmarks.processes import Held
from benchmarks.servers import serve_run
from benchmarks.soak_requests import TIMEOUT_S, Kind, kinds
from inpaint.resources import default_serve_config
from serve_app.charts import Line, Panel, write
from tests.serve.checkpoints import write_checkpoints
from tests.serve.special_checkpoints import write_plain_checkpoints, write_special_checkpoints
from tests.standins.catalog import checksum_variables, write_stand_ins

EACH = 100
"""Requests between two looks."""
CLIENTS = 3
MEMORY_GROWTH = 0.03
SLACK = {"threads": 4, "files": 8}
"""Of one process: pools that fill up to their size, connections that rest."""
STORE_SLACK_MIB = 0.1
AT_ONCE = 3
"""Looks whose median counts: single ones differ by a garbage collection."""
REST_S = 3.0

Slow = dict[str, list[float]]
"""Seconds that requests of each kind took."""


@dataclass(frozen=True, slots=True)
class Look:
    """The idle server after so many requests."""

    requests: int
    held: Sequence[Held]
    actors: Mapping[str, int]
    """How many live, by class."""
    stored_mib: float
    """In the object store."""
    stored: int

    @property
    def memory_mib(self) -> float:
        """What this soak is about."""
        return processes.memory_mib(self.held)


def service(model_dir: Path) -> dict[str, Any]:
    """The shipped config on the CPU, one replica for each deployment."""
    document: dict[str, Any] = yaml.safe_load(default_serve_config().read_text())
    application = document["applications"][0]
    families = [family | {"device": "cpu"} for family in application["args"]["families"]]
    for family in families:
        family.pop("precision", None)
    families = [one for one in families if one["kind"] != "ocr" or has_ocr()]
    names = {"Ingress", "Registry", *(family["deployment"] for family in families)}
    families[0]["engine"] = "torch"
    application["args"].update(families=families, model_dir=str(model_dir))
    application["deployments"] = [one for one in application["deployments"] if one["name"] in names]
    for entry in application["deployments"]:
        entry.pop("autoscaling_config", None)
        entry["num_replicas"] = 1
        entry["ray_actor_options"] = {"num_cpus": 0.1}
        if entry["name"] not in ("Ingress", "Registry"):
            entry.setdefault("user_config", {})["threads"] = 1
        if entry["name"] == "Erase":
            entry["user_config"]["max_loaded_mb"] = 2500  # evicts: all of them state 3.5 GB
        if entry["name"] in ("SD15", "SDXL", "Special"):
            entry["user_config"]["max_loaded_mb"] = 16384
    return document


def has_ocr() -> bool:
    """Whether PaddleOCR is installed."""
    return find_spec("paddleocr") is not None and find_spec("onnxruntime") is not None


def drawn(known: Sequence[Kind], count: int) -> list[Kind]:
    """`count` requests: rounds of all kinds by their shares, each in an order of its own."""
    dice = np.random.default_rng(11)
    one_round = [kind for kind in known for _ in range(kind.share)]
    orders = [dice.permutation(len(one_round)) for _ in range(1 + count // len(one_round))]
    return [one_round[index] for order in orders for index in order][:count]


async def send_all(url: str, requests: Sequence[Kind], first: int, slow: Slow) -> Counter[str]:
    """Send the requests from CLIENTS clients in turn; what was not as expected, by its words."""
    left, wrong = list(enumerate(requests, first)), Counter[str]()
    left.reverse()

    async def client_in_turn() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as client:
            while left:
                number, kind = left.pop()
                began = time.monotonic()
                try:
                    status = await kind.send(client, number)
                except httpx.HTTPError as error:
                    wrong[f"{kind.name}: {error!r}"] += 1
                    continue
                slow.setdefault(kind.name, []).append(time.monotonic() - began)
                if status not in kind.expected:
                    wrong[f"{kind.name}: {status}"] += 1

    await asyncio.gather(*(client_in_turn() for _ in range(CLIENTS)))
    return wrong


def look(pid: int, requests: int) -> Look:
    """The server once it rests."""
    address = ray_state.address_of(pid)
    stored_mib, stored = ray_state.stored(address)
    return Look(requests, processes.held_by(pid), ray_state.actors(address), stored_mib, stored)


def run(url: str, pid: int, options: argparse.Namespace) -> tuple[list[Look], Counter[str]]:
    """All requests; the looks between them and what went wrong."""
    known = [kind for kind in kinds() if has_ocr() or kind.name not in ("ocr", "remove-text")]
    requests, wrong, looks = drawn(known, options.requests), Counter[str](), []
    slow: Slow = {}
    looks.append(look(pid, 0))
    for first in range(0, len(requests), EACH):
        began = time.monotonic()
        some = requests[first : first + EACH]
        wrong += asyncio.run(send_all(url, some, first, slow))
        took = time.monotonic() - began
        time.sleep(REST_S)
        gc.collect()
        looks.append(look(pid, first + len(some)))
        last = looks[-1]
        print(
            f"{last.requests:5d}  {took:5.0f} s  {last.memory_mib:7.0f} MiB  object store "
            f"{last.stored_mib:.1f} MiB in {last.stored}  wrong {sum(wrong.values())}",
            flush=True,
        )
    longest = sorted(slow.items(), key=lambda entry: -statistics.mean(entry[1]))[:8]
    print("slowest kinds, mean s:", {name: round(statistics.mean(s), 2) for name, s in longest})
    return looks, wrong


def judge(looks: Sequence[Look], wrong: Counter[str], warm_up: int) -> Mapping[str, bool]:
    """Each goal, in words, and whether it is met."""
    warm = [one for one in looks if one.requests >= warm_up]
    first, last = warm[:AT_ONCE], warm[-AT_ONCE:]
    before = statistics.median(one.memory_mib for one in first)
    after = statistics.median(one.memory_mib for one in last)
    growth = after / before - 1
    counts = {
        what: {(one.pid, one.name): getattr(one, what) for one in warm[0].held} for what in SLACK
    }
    leaked = [
        f"{one.name}: {what} {counts[what][one.pid, one.name]} -> {getattr(one, what)}"
        for one in warm[-1].held
        for what, slack in SLACK.items()
        if one.kind in processes.SERVING and (one.pid, one.name) in counts[what]
        and getattr(one, what) > counts[what][one.pid, one.name] + slack
    ]  # fmt: skip
    lost = processes_of(warm[0]) - processes_of(warm[-1])
    return {
        f"memory after warm-up grows by {growth:+.1%} (under {MEMORY_GROWTH:.0%}): "
        f"{before:.0f} -> {after:.0f} MiB": growth < MEMORY_GROWTH,
        f"every answer is the expected one; not so: {dict(wrong)}": not wrong,
        f"object store holds no more than Serve's own: {looks[-1].stored_mib:.2f} MiB in "
        f"{looks[-1].stored} objects, {looks[0].stored_mib:.2f} in {looks[0].stored} before the "
        "first request": looks[-1].stored_mib <= looks[0].stored_mib + STORE_SLACK_MIB,
        f"no process was replaced; were: {sorted(lost)}": not lost,
        f"no threads or files leaked; did: {leaked}": not leaked,
        f"as many actors as after warm-up: {dict(warm[-1].actors)}": warm[-1].actors
        == warm[0].actors,
    }


def processes_of(one: Look) -> set[tuple[str, int]]:
    """Those that serve."""
    return {(held.name, held.pid) for held in one.held if held.kind in processes.SERVING}


def report(looks: Sequence[Look], warm_up: int, goals: Mapping[str, bool]) -> None:
    """Markdown."""
    warm = [one for one in looks if one.requests >= warm_up]
    print(f"\nload average {os.getloadavg()}\n")
    print(
        f"| process | MiB after {warm[0].requests} | after {warm[-1].requests} | threads | files |"
    )
    print("|---|--:|--:|--:|--:|")
    before, after = (processes.by_name(one.held) for one in (warm[0], warm[-1]))
    for name, now in after.items():
        [then], [one] = before.get(name, now)[:1], now[:1]
        print(
            f"| {name} | {then.pss_mib:.0f} | {one.pss_mib:.0f} | {then.threads} -> {one.threads} "
            f"| {then.files} -> {one.files} |"
        )
    print(f"| all | {warm[0].memory_mib:.0f} | {warm[-1].memory_mib:.0f} | | |\n")
    for words, is_met in goals.items():
        print(f"{'met   ' if is_met else 'MISSED'} {words}")


def draw(path: Path, looks: Sequence[Look]) -> None:
    """Memory of all, and of each process; threads and files."""
    names = sorted({name for one in looks for name in processes.by_name(one.held)})

    def line(name: str, what: str) -> Line:
        points = [
            (one.requests, sum(getattr(held, what) for held in processes.by_name(one.held)[name]))
            for one in looks
            if name in processes.by_name(one.held)
        ]
        return Line(name, points)

    def total(what: str) -> Line:
        serving = [(one.requests, [held for held in one.held if held.kind in processes.SERVING])
                   for one in looks]  # fmt: skip
        return Line(what, [(count, sum(getattr(h, what) for h in held)) for count, held in serving])

    whole = Line("all", [(one.requests, one.memory_mib) for one in looks])
    heaviest = sorted(names, key=lambda name: -line(name, "pss_mib").points[-1][1])[:5]
    write(path, [
        Panel("Resident memory (PSS without shared memory)", "requests", "MiB", [whole]),
        Panel("The same by process", "requests", "MiB", [line(one, "pss_mib") for one in heaviest]),
        Panel("Threads and open files of all", "requests", "", [total("threads"), total("files")]),
    ])  # fmt: skip


def main() -> None:
    """Run, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--warm-up", type=int, default=500, help="requests before counting begins")
    parser.add_argument("--svg", type=Path, default=Path("benchmarks/results/soak.svg"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        model_dir = Path(folder)
        write_stand_ins(model_dir)
        write_plain_checkpoints(model_dir)
        write_checkpoints(model_dir)
        write_special_checkpoints(model_dir)
        env = {"OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled", **checksum_variables(model_dir)}
        with serve_run(service(model_dir), "/readyz", env) as server:
            looks, wrong = run(server.url, server.process.pid, options)
    goals = judge(looks, wrong, options.warm_up)
    report(looks, options.warm_up, goals)
    draw(options.svg, looks)
    sys.exit(0 if all(goals.values()) else 1)


if __name__ == "__main__":
    main()
