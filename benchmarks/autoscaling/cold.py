"""A family at zero on a cluster that has no GPU yet and can grow; see design of the cold path."""

import asyncio
import time
from dataclasses import dataclass

from benchmarks.autoscaling.simulation import Goal, client, loads, seconds_of, started, until
from benchmarks.load import Outcome
from tests.clusters.conftest import Service

COLD_WAIT_S = 5.0
"""The ingress's default."""
SILENCE_S = 10.0
"""Between the refusal and the node, nobody asks."""
SLACK_S = 3.0


@dataclass(frozen=True, slots=True)
class Found:
    """What happened, in order."""

    refused: Outcome
    silence_s: float
    """From the refusal to the node."""
    started_s: float
    """From the node to a replica that takes requests, though nobody has asked again."""
    answered: Outcome


async def measure() -> Found:
    """On a cluster of its own, which gets a node with a GPU while nobody asks."""
    with started(["Erase", "SDXL"], {}, gpus=1, cluster={"scalable": True}) as running:
        return await _measure(running)


async def _measure(running: Service) -> Found:
    # The head's one GPU share goes to Erase, which leaves too little of it for SDXL.
    async with client(running) as asked:
        load = loads(asked)
        refused = await load.send("SDXL")
        refused_at = time.monotonic()
        await asyncio.sleep(SILENCE_S)
        silence_s = time.monotonic() - refused_at
        running.add_node(num_cpus=4, num_gpus=1)  # Ray asks for the main thread; nobody waits
        started_s = await until(running, "SDXL", lambda count: count == 1, 120)
        return Found(refused, silence_s, started_s, await load.send("SDXL"))


def report(found: Found) -> list[Goal]:
    """Print the table."""
    refused, answered = found.refused, found.answered
    print("\n| moment | what |\n|---|---|")
    print(
        f"| a request for SDXL | {refused.status} after {refused.took_s:.1f} s, Retry-After "
        f"{refused.retry_after_s} |"
    )
    print(f"| {found.silence_s:.0f} s later | a node with a GPU joins; nobody asks |")
    print(f"| {found.started_s:.1f} s later | a replica takes requests |")
    print(f"| then | {answered.status} in {answered.took_s:.1f} s, of which the model 8 |")
    return [
        Goal(
            "503 warming-up with Retry-After after cold_wait_s",
            refused.status == 503
            and "warming-up" in refused.detail
            and bool(refused.retry_after_s)
            and COLD_WAIT_S <= refused.took_s <= COLD_WAIT_S + SLACK_S,
        ),
        Goal("the replica comes though the client has gone", found.started_s < 120),
        Goal("and then it answers", answered.is_good and answered.took_s < seconds_of("SDXL") + 5),
    ]
