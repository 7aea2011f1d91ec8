"""Which replica a request should go to when each replica has room for few of the models."""

from collections.abc import Callable, Hashable, Sequence, Set
from dataclasses import dataclass
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)

RoutingStats = dict[str, list[str]]
MODELS = "models"
"""Key of the routing stats under which a replica names what it holds and loads."""


@dataclass(frozen=True, slots=True)
class Candidate(Generic[Name]):
    """A replica, as a caller sees it."""

    name: Name
    queue: int
    """Requests that it has now, of all callers."""
    models: Set[str]
    """Those that it holds, loads, or has been sent a request for."""


@dataclass(frozen=True, slots=True)
class Affinity:
    """How much a request puts up with to find its model loaded."""

    empty_after_s: float = 5.0
    """How long all holders are busy before a request takes the last replica without any model."""
    occupied_after_s: float = 30.0
    """How long a request waits for a full holder before it takes a replica whose models have to go:
    about three loads."""


class Demand:
    """How much each model has been asked for lately; an hour ago counts for nothing."""

    HALF_LIFE_S = 60.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, float]] = {}  # by model: how much, and when

    def add(self, model: str) -> None:
        """Count one request."""
        self._known[model] = (self.of(model) + 1.0, self._clock())

    def of(self, model: str) -> float:
        """Requests for the model, of which those of a minute ago count half."""
        amount, when = self._known.get(model, (0.0, 0.0))
        return float(amount * 0.5 ** ((self._clock() - when) / self.HALF_LIFE_S))


class Rush:
    """For how long the holders of each model have been busy whenever somebody looked."""

    FORGET_S = 60.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, float]] = {}  # by model: since when, and last seen

    def note(self, model: str, is_busy: bool) -> float:
        """Take note of a look; for how many seconds all looks have found them busy."""
        if not is_busy:
            self._known.pop(model, None)
            return 0.0
        now = self._clock()
        since, seen = self._known.get(model, (now, now))
        since = now if now - seen > self.FORGET_S else since
        self._known[model] = (since, now)
        return now - since

    def ease(self, model: str) -> None:
        """Count from now on: the model has got another replica."""
        self._known[model] = (self._clock(), self._clock())


def are_busy(model: str, candidates: Sequence[Candidate[Name]]) -> bool:
    """Whether replicas hold the model and none of them is idle."""
    queues = [one.queue for one in candidates if model in one.models]
    return bool(queues) and min(queues) > 0


def ranked(
    model: str,
    candidates: Sequence[Candidate[Name]],
    demand: Demand,
    waited_s: float,
    busy_s: float,
    affinity: Affinity,
) -> list[Name]:
    """Replicas for a request for `model`, the best first; those that it should not go to are out.

    A load takes as long as several requests do, and pushes out what others ask for. So a request
    queues where its model is; where it is nowhere, it goes to the replica whose models are asked
    for the least, alone. A hot model spreads to an empty replica once its holders have been busy
    for a while; the more of those there are, the shorter, and the last is kept the longest for a
    model that nobody holds. It spreads to another's replica once a request has waited for long,
    and it is asked for more than what goes out for it. However long a request has waited, it never
    pushes out more than it brings: under overload all requests wait long, and loads would only
    make it worse.

    Args:
        model: what the request asks for.
        candidates: all replicas; the first of two holders with equal queues wins. Two that hold
            nothing are told apart by name, so that all callers send a model to the same one.
        demand: of all models.
        waited_s: how long the request has been looking for a replica with room.
        busy_s: how long no holder has been idle.
        affinity: what it puts up with.
    """

    def share(name: str) -> float:
        return demand.of(name) / max(1, sum(name in one.models for one in candidates))

    def worth(candidate: Candidate[Name]) -> float:
        return sum(share(name) for name in candidate.models)

    holders = sorted((one for one in candidates if model in one.models), key=_queue)
    others = sorted(
        (one for one in candidates if model not in one.models),
        key=lambda one: (bool(one.models), worth(one), one.queue, str(one.name)),
    )
    if not holders or not others:
        return _names([*holders, *others[:1]])
    if empty := [one for one in others if not one.models]:
        spreads = busy_s >= affinity.empty_after_s / len(empty)
        return _names([empty[0], *holders] if spreads else holders)
    gains = demand.of(model) / (len(holders) + 1) > worth(others[0])
    spreads = gains and waited_s >= affinity.occupied_after_s
    return _names([*holders, others[0]] if spreads else holders)


def _queue(candidate: Candidate[Name]) -> int:
    return candidate.queue


def _names(candidates: Sequence[Candidate[Name]]) -> list[Name]:
    return [one.name for one in candidates]
