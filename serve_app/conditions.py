"""How a family is, in one word: what a request for it would meet. Serve's statuses say less.

Serve calls a family at zero replicas HEALTHY, one that is updated under load UPDATING though it
answers, and one that lost a replica of two UNHEALTHY.
"""

from enum import StrEnum


class Condition(StrEnum):
    """What GET /readyz says of a family."""

    RUNNING = "running"
    """Replicas take requests."""
    UPDATING = "updating"
    """They do, while a new version of them is being started."""
    DEGRADED = "degraded"
    """Some do, others failed."""
    RESTING = "resting"
    """At zero replicas, as configured; the first request starts one."""
    WAKING = "waking"
    """One is being started for it."""
    NO_GPU = "no-gpu"
    """No node can ever run it, or not without what a node lacks; its requests are refused."""
    STARTING = "starting"
    """Not there yet after a deployment; requests wait."""
    UNHEALTHY = "unhealthy"
    """All replicas are gone; Serve starts others."""
    FAILED = "failed"
    """Its replicas fail to start, and Serve has given up; its requests are refused."""
    MISSING = "missing"
    """Serve does not have it."""
    UNKNOWN = "unknown"
    """Serve's controller has not answered for a while."""


READY = frozenset(
    {
        Condition.RUNNING,
        Condition.UPDATING,
        Condition.DEGRADED,
        Condition.RESTING,
        Condition.WAKING,
        Condition.NO_GPU,
    }
)
"""What lets the service count as ready. A family that can never run does not count against it:
waiting would not help."""


def condition_of(
    status: str, running: int, wanted: int, has_failed: bool, lacks_node: bool
) -> Condition:
    """One word for what Serve and the nodes say.

    Args:
        status: Serve's, e.g. "UPDATING".
        running: replicas that take requests.
        wanted: replicas that Serve aims at.
        has_failed: Serve has given up starting replicas of the present version.
        lacks_node: no node can ever run it.
    """
    if running:
        return {
            "UPDATING": Condition.UPDATING,
            "UNHEALTHY": Condition.DEGRADED,
            "DEPLOY_FAILED": Condition.DEGRADED,
        }.get(status, Condition.RUNNING)
    if lacks_node:
        return Condition.NO_GPU
    if has_failed or status == "DEPLOY_FAILED":
        return Condition.FAILED
    if status == "UNHEALTHY":
        return Condition.UNHEALTHY
    if not wanted:
        return Condition.RESTING
    return Condition.WAKING if status == "UPSCALING" else Condition.STARTING
