"""What a load needs, worked out from the measured cost of one request. Sums only."""

import math
from dataclasses import dataclass

from benchmarks.autoscaling.edge_cost import Cost

DAY_S = 86_400
MILLION_A_DAY = 1e6 / DAY_S
"""On average."""
PEAK = 4.0
"""Assumed: the busiest minutes have so many times the average of a day."""
EDGE_BUSY = 0.6
"""Assumed: how busy a proxy or an ingress replica may be. Beyond it queues grow fast, and a node
that is lost leaves its load to the others."""
MODELS_BUSY = 0.8
"""Assumed for replicas of models: they have a queue of their own, and autoscaling behind it."""
INGRESSES_A_NODE = 6
"""Assumed: a node of 8 cores, of which one is the proxy's and one Ray's own."""
BYTES_A_PIXEL = 7
"""Of a tile between ingress and replica: RGB and mask there, RGB back."""
STORED_BYTES_A_PIXEL = 13
"""Measured, of one request of SD15 on its way: tile, mask and result, and some that are done with
but not yet given back."""
STORED_REQUESTS = 2
"""Of each model replica: `max_ongoing_requests` of diffusion families."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a request is to the models."""

    seconds: float
    """Of a replica."""
    gpus: float
    """Share of a replica."""
    pixels: int
    """Of all its tiles."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a load needs."""

    rate: float
    """Requests a second that it is made for."""
    proxies: int
    """One on each node; a proxy is one thread."""
    ingresses: int
    """Each with one core."""
    edge_nodes: int
    """Of 8 cores."""
    models: int
    """Replicas of the family."""
    gpus: int
    clients_gbit: float
    """From and to clients together."""
    tiles_gbit: float
    """Between ingress and model replicas, where they are on different nodes."""
    store_gb: float
    """In the object stores of all nodes together."""


def need(cost: Cost, work: Work, rate: float) -> Need:
    """What so many requests a second need.

    Args:
        cost: the measured one of a request at the edge.
        work: what it is to the models.
        rate: requests a second at the peak.
    """
    proxies = _many(rate * cost.cpu_ms["proxy"] / 1e3, EDGE_BUSY)
    ingresses = _many(rate * cost.cpu_ms["Ingress"] / 1e3, EDGE_BUSY)
    models = _many(rate * work.seconds, MODELS_BUSY)
    tile_bytes = BYTES_A_PIXEL * work.pixels
    return Need(
        rate=rate,
        proxies=proxies,
        ingresses=ingresses,
        edge_nodes=max(proxies, math.ceil(ingresses / INGRESSES_A_NODE)),
        models=models,
        gpus=math.ceil(models * work.gpus - 1e-9),
        clients_gbit=rate * (cost.sent_kb + cost.answered_kb) * 1e3 * 8 / 1e9,
        tiles_gbit=rate * tile_bytes * 8 / 1e9,
        store_gb=models * STORED_REQUESTS * STORED_BYTES_A_PIXEL * work.pixels / 1e9,
    )


def longest_wait_s(
    queued: int, ingresses: int, ongoing: int, replicas: int, seconds: float
) -> float:
    """How long the last request waits in full queues, until it is answered.

    Args:
        queued: `max_queued_requests` of the family, which each ingress replica has.
        ingresses: their replicas.
        ongoing: `max_ongoing_requests` of the family.
        replicas: the family's.
        seconds: that a request takes a replica.
    """
    return (queued * ingresses / replicas + ongoing) * seconds


def _many(busy: float, most: float) -> int:
    """How many are needed for so many that are busy all the time."""
    return max(1, math.ceil(busy / most - 1e-9))


def report(cost: Cost, work: Work) -> None:
    """Print the table."""
    print(
        f"\nFrom `{cost.what}`: proxy {cost.cpu_ms['proxy']:.1f} ms, ingress "
        f"{cost.cpu_ms['Ingress']:.1f} ms; {work.seconds:g} s of {work.gpus:g} GPU each"
    )
    print(
        "| load | a second | proxies | ingress replicas | edge nodes | model replicas | GPUs "
        "| clients Gbit/s | tiles Gbit/s | object stores GB |\n|---|" + "--:|" * 9
    )
    loads = {
        "a million a day, on average": MILLION_A_DAY,
        f"and at {PEAK:g} times the average": PEAK * MILLION_A_DAY,
        "a thousand a second": 1000.0,
    }
    for name, rate in loads.items():
        one = need(cost, work, rate)
        print(
            f"| {name} | {one.rate:.1f} | {one.proxies} | {one.ingresses} | {one.edge_nodes} | "
            f"{one.models} | {one.gpus} | {one.clients_gbit:.2f} | {one.tiles_gbit:.2f} | "
            f"{one.store_gb:.1f} |"
        )
