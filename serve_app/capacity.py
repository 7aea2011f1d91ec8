"""Which families the cluster can run, and what becomes of a request for one that does not run."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from inpaint.errors import NoGpuError, UnavailableError, WarmingUpError
from serve_app.conditions import READY, Condition, condition_of

STATE_LIFETIME_S = 2.0
"""How old the cluster's state may be before it is looked at again, beside the requests."""

GRACE_S = 30.0
"""How old it may be before requests wait for the next look."""

PATIENCE_S = 1.0
"""How long they wait. Who knows nothing refuses nobody."""

DEMAND_LIFETIME_S = 900.0
"""How long a family that nobody asks for any more is still waited for: a node takes minutes."""

ColdOutcome = Literal["ready", "refused"]

OnCold = Callable[[str, float, ColdOutcome], None]
"""Told how many seconds a request has waited for the family, and what came of it."""

logger = logging.getLogger("ray.serve")


@dataclass(frozen=True, slots=True)
class FamilyState:
    """One family, as Serve sees it."""

    status: str
    """E.g. "HEALTHY"."""
    running: int
    """Replicas that take requests."""
    needs: Mapping[str, float]
    """What Ray sets aside for one replica, by Ray's names: CPU, GPU, memory, ..."""
    wanted: int = 0
    """Replicas that Serve aims at."""
    has_failed: bool = False
    """Serve has given up starting replicas of the present version."""


@dataclass(frozen=True, slots=True)
class ClusterState:
    """The families, and the nodes they may run on."""

    families: Mapping[str, FamilyState]
    nodes: Sequence[Mapping[str, float]]
    """What each living node has in all, free or not."""
    can_grow: bool
    """Whether an autoscaler may add nodes."""

    def lacks(self, family: str) -> tuple[str, ...]:
        """What no node has enough of for the family; nothing while it runs or nodes may come."""
        state = self.families.get(family)
        if state is None or state.running or self.can_grow:
            return ()
        return missing(state.needs, self.nodes)

    def condition(self, family: str) -> Condition:
        """How a family is."""
        known = self.families.get(family)
        if known is None:
            return Condition.MISSING
        lacks = bool(self.lacks(family))
        return condition_of(known.status, known.running, known.wanted, known.has_failed, lacks)


@dataclass(frozen=True, slots=True)
class Sight:
    """How the families were when the cluster was last looked at."""

    conditions: Mapping[str, Condition]
    is_ready: bool
    """Whether each family that can run takes requests, as far as is known."""
    age_s: float | None
    """None: nobody has looked yet."""


def missing(needs: Mapping[str, float], nodes: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
    """Names of what the best node lacks; empty where one node has everything at once."""
    lacks = [
        tuple(name for name, amount in needs.items() if node.get(name, 0.0) < amount)
        for node in nodes
    ]
    return min(lacks, key=len, default=tuple(needs))


def refusal(family: str, lacks: Sequence[str], needs: Mapping[str, float]) -> NoGpuError:
    """Why the family cannot run, and what to do about it."""
    wants = ", ".join(f"{needs[name]:g} {name}" for name in lacks)
    if "GPU" in lacks:
        remedy = (
            "start the server where a GPU is, or configure the family for the CPU "
            "(device: cpu, and no num_gpus)"
        )
    else:
        remedy = "add such a node, or ask for less in the family's ray_actor_options"
    return NoGpuError(
        f"'{family}' cannot run here: each replica needs {wants}, which no node of this cluster "
        f"has, and the cluster does not grow by itself; {remedy}.",
        {"family": family},
    )


class Capacity:
    """The cluster as one ingress replica sees it.

    Args:
        look: looks at the cluster; raises when it does not answer.
        warm: comes back once a replica of the family called so runs. While it waits, Serve counts
            it as a request: this is what keeps the demand for a node alive.
        lifetime_s: how old a look may be before the next one.
        on_cold: told of each request's wait for a family without replicas.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[ClusterState]],
        warm: Callable[[str], Awaitable[object]],
        lifetime_s: float = STATE_LIFETIME_S,
        on_cold: OnCold = lambda family, seconds, outcome: None,
    ) -> None:
        self._look = look
        self._warm = warm
        self._lifetime_s = lifetime_s
        self._on_cold = on_cold
        self._state: ClusterState | None = None
        self._seen_at = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._looking_since = 0.0
        self._warming: dict[str, asyncio.Task[None]] = {}

    async def check(self, family: str) -> None:
        """Raise where the family cannot run; see `require`. Starts nothing."""
        await self._cold(family)

    async def require(self, family: str, wait_s: float) -> None:
        """Come back when a request may be sent to the family.

        Where the cluster cannot grow, a family at zero replicas starts one on a node that is
        there, and the request waits for it as for any other; where it can, a node may have to
        come first.

        Raises:
            NoGpuError: no node can ever run it.
            UnavailableError: its replicas fail to start.
            WarmingUpError: no replica runs after `wait_s`; one is being started meanwhile.
        """
        if not await self._cold(family):
            return
        began = time.monotonic()
        finished, _ = await asyncio.wait({self._warmed(family)}, timeout=wait_s)
        self._on_cold(family, time.monotonic() - began, "ready" if finished else "refused")
        if not finished:
            raise WarmingUpError(
                f"'{family}' is being started and is not ready yet: a node may have to come "
                "first, which takes minutes. Try again; it is not forgotten meanwhile.",
                {"family": family},
            )

    async def _cold(self, family: str) -> bool:
        """Whether a node may have to come before the family runs."""
        state = await self._now()
        if state and state.condition(family) in (Condition.NO_GPU, Condition.FAILED):
            state = await self._now(is_patient=True)  # a node, or a new version, may have come
        if state is None or family not in state.families or state.families[family].running:
            return False
        if lacks := state.lacks(family):
            raise refusal(family, lacks, state.families[family].needs)
        if state.condition(family) is Condition.FAILED:
            raise UnavailableError(
                f"'{family}' fails to start, and is not tried again until it is deployed anew; "
                "the server's log says why.",
                {"family": family},
            )
        return state.can_grow

    def running(self, deployment: str) -> int:
        """How many replicas of a deployment ran when the cluster was last looked at; 0: unknown."""
        known = self._state.families.get(deployment) if self._state else None
        return known.running if known else 0

    async def refusals(self) -> Mapping[str, str]:
        """Families that no node can ever run, with the reason."""
        state = await self._now()
        if state is None:
            return {}
        return {
            family: refusal(family, lacks, known.needs).detail
            for family, known in state.families.items()
            if (lacks := state.lacks(family))
        }

    async def sight(self, families: Sequence[str]) -> Sight:
        """How these families are. Takes PATIENCE_S at most: then what was seen last holds.

        While the controller is away requests go on, so readiness stays as it was last seen; what
        is older than GRACE_S is called unknown all the same.
        """
        now = await self._now(is_patient=True)
        last = self._state
        if last is None:
            return Sight(dict.fromkeys(families, Condition.UNKNOWN), False, None)
        conditions = {family: last.condition(family) for family in families}
        is_ready = READY.issuperset(conditions.values())
        if now is None:
            conditions = dict.fromkeys(families, Condition.UNKNOWN)
        return Sight(conditions, is_ready, self._age_s())

    def _warmed(self, family: str) -> asyncio.Task[None]:
        """One wait for a replica, however many requests there are."""
        if family not in self._warming:
            self._warming[family] = asyncio.create_task(self._keep_demand(family))
        return self._warming[family]

    async def _keep_demand(self, family: str) -> None:
        try:
            await asyncio.wait_for(self._warm(family), DEMAND_LIFETIME_S)
        except Exception as error:  # noqa: BLE001  the request itself finds out what is wrong
            logger.warning("no replica of %s has come: %s", family, type(error).__name__)
        finally:
            del self._warming[family]

    async def _now(self, is_patient: bool = False) -> ClusterState | None:
        """The last state, looked at anew beside the requests; None where it is unknown.

        Args:
            is_patient: wait for the next look, if one is due.
        """
        if self._state is None or self._age_s() > self._lifetime_s:
            if self._looking is None:
                self._looking = asyncio.create_task(self._look_anew())
                self._looking_since = time.monotonic()
            if is_patient or self._state is None or self._age_s() > GRACE_S:
                waited_s = time.monotonic() - self._looking_since  # in vain: once is enough
                await asyncio.wait({self._looking}, timeout=max(0.0, PATIENCE_S - waited_s))
        return self._state if self._age_s() <= GRACE_S else None

    async def _look_anew(self) -> None:
        try:
            self._see(await self._look())
        except Exception as error:  # noqa: BLE001  requests go on without
            logger.warning("the cluster does not answer: %s", type(error).__name__)
        finally:
            self._looking = None

    def _see(self, state: ClusterState) -> None:
        self._state, self._seen_at = state, time.monotonic()

    def _age_s(self) -> float:
        return time.monotonic() - self._seen_at
