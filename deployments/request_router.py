"""Serve's hook for `affinity`: sends requests to replicas that hold their model."""

import asyncio
import time
from dataclasses import dataclass
from random import shuffle
from typing import Any

from ray.serve._private.replica_result import ReplicaResult
from ray.serve.request_router import (
    PendingRequest,
    ReplicaID,
    RequestRouter,
    RunningReplica,
)

from deployments.affinity import (
    MODELS,
    Affinity,
    Candidate,
    Demand,
    Rush,
    are_busy,
    ranked,
)

INTENT_S = 2.0
"""For how long a choice counts as a load: until the replica's own word has come round."""

SENT_S = 60.0
"""The same for a request that runs: its replica may have to make room before it begins to load."""

FRESH_S = 0.1
"""How old the replicas' word on their queues may be; waiting requests ask twice a second each."""

BY_MODEL: dict[str, Any] = {
    "request_router_class": "deployments.request_router:ModelAffinityRouter",
    "request_routing_stats_period_s": 1,
}
"""The `request_router_config` of a deployment whose replicas `record_routing_stats`."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that runs."""

    model: str
    when: float


class ModelAffinityRouter(RequestRouter):
    """Prefers replicas that hold the model, which is the first argument of a call.

    Knows what the replicas say (`record_routing_stats`) and, before they have said it, what it
    has sent them itself. Calls without a model go to the shortest queue.
    """

    def initialize_state(self, **kwargs: Any) -> None:
        """Called by Serve with the deployment's `request_router_kwargs`."""
        self._affinity = Affinity(**kwargs)
        self._demand = Demand(time.monotonic)
        self._rush = Rush(time.monotonic)
        self._sent: dict[ReplicaID, dict[str, Sent]] = {}  # by the request's internal id
        self._meant: dict[str, tuple[ReplicaID, float]] = {}  # by model: where to, and when
        self._asked: asyncio.Task[Any] | None = None
        self._asked_at = 0.0

    @property
    def max_num_routing_tasks(self) -> int:
        """Requests that look for a replica at once: one that waits must not stop the others."""
        return self.max_num_routing_tasks_cap

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Called by Serve, again and again until a replica has room."""
        await self._ask_queues(candidate_replicas)
        by_id = {replica.replica_id: replica for replica in candidate_replicas}
        candidates = [self._candidate(replica) for replica in candidate_replicas]
        shuffle(candidates)  # or all ingress replicas run to the same one of several idle ones
        if pending_request is not None and not pending_request.routing_context.should_backoff:
            pending_request.routing_context.should_backoff = True  # or Serve asks without a pause
            self._demand.add(model_of(pending_request))
        model = model_of(pending_request) if pending_request else ""
        if pending_request is None or not model:
            candidates.sort(key=lambda one: one.queue)
            return [[by_id[one.name]] for one in candidates]
        waited_s = time.time() - pending_request.created_at
        busy_s = self._rush.note(model, are_busy(model, candidates))
        names = ranked(model, candidates, self._demand, waited_s, busy_s, self._affinity)
        if names:
            self._meant[model] = (names[0], time.monotonic())
            if busy_s and not any(
                model in one.models for one in candidates if one.name == names[0]
            ):
                self._rush.ease(model)
        return [[by_id[name]] for name in names]

    async def _ask_queues(self, replicas: list[RunningReplica]) -> None:
        """Have all replicas say how long their queues are, once for all requests of the moment.

        By itself a router knows what it has sent, and of other ingress replicas' requests what it
        heard when it sent its last one. Where a run takes seconds, a request that queues while a
        replica is idle takes twice as long, and the question takes milliseconds.
        """
        now = time.monotonic()
        if self._asked is None or (self._asked.done() and now - self._asked_at > FRESH_S):
            self._asked = asyncio.create_task(self._probe_queue_lens(replicas, 0))
            self._asked_at = now
        await asyncio.wait({self._asked})

    def on_request_routed(
        self, pending_request: PendingRequest, replica_id: ReplicaID, result: ReplicaResult
    ) -> None:
        """Called by Serve when a replica has taken a request."""
        if model := model_of(pending_request):
            now, sent = time.monotonic(), self._sent.get(replica_id, {}).copy()
            recent = {name: one for name, one in sent.items() if one.when > now - SENT_S}
            recent[pending_request.metadata.internal_request_id] = Sent(model, now)
            self._sent[replica_id] = recent

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        """Called by Serve when a request is over or refused, maybe on another thread."""
        self._sent.get(replica_id, {}).pop(internal_request_id, None)

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Called by Serve when replicas come and go."""
        alive = {replica.replica_id for replica in replicas}
        self._sent = {name: sent for name, sent in self._sent.items() if name in alive}
        super().update_replicas(replicas)

    def _candidate(self, replica: RunningReplica) -> Candidate[ReplicaID]:
        oldest = time.monotonic() - SENT_S
        sent = self._sent.get(replica.replica_id, {}).copy().values()
        models = {one.model for one in sent if one.when > oldest}
        queue = self.replica_queue_len_cache.get(replica.replica_id)
        return Candidate(
            replica.replica_id,
            len(sent) if queue is None else queue,
            {*replica.routing_stats.get(MODELS, ()), *models, *self._meant_for(replica)},
        )

    def _meant_for(self, replica: RunningReplica) -> set[str]:
        oldest = time.monotonic() - INTENT_S
        return {
            model
            for model, (name, when) in self._meant.items()
            if name == replica.replica_id and when > oldest
        }


def model_of(request: PendingRequest) -> str:
    """The model that a call names; "" where it names none."""
    first = request.args[0] if request.args else ""
    return first if isinstance(first, str) else ""
