"""Sending many requests at once, and what became of each of them.

Two ways of sending: `at_a_rate` starts requests at their moments whatever the answers take (an open
loop: what a crowd does), `in_turn` has so many clients that ask again once they are answered (a
closed loop: what finds the most that a server can do).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

BROKEN = 0
"""The status of a request whose connection broke, or that nobody answered in time."""

Request = Mapping[str, Any]
"""What httpx.AsyncClient.request takes: `method`, `url`, `content`, `headers` and so on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request."""

    kind: str
    """What was asked for, as the caller calls it."""
    sent_s: float
    """When, from the start of the load."""
    took_s: float
    status: int
    retry_after_s: float | None = None
    detail: str = ""
    """What was wrong with it: the start of an answer that is no success, or the exception."""

    @property
    def is_good(self) -> bool:
        """Whether the answer is a success."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Summary:
    """Many requests."""

    requests: int
    good: int
    statuses: dict[int, int]
    """How many had each status, successes as well."""
    p50_s: float
    p95_s: float
    p99_s: float
    longest_s: float
    """The four of successes only; 0 where there are none."""

    @property
    def lost(self) -> int:
        """Those without a success."""
        return self.requests - self.good


def summarise(outcomes: Iterable[Outcome]) -> Summary:
    """What became of them."""
    outcomes = list(outcomes)
    good = [outcome.took_s for outcome in outcomes if outcome.is_good]
    p50, p95, p99 = np.percentile(good, (50, 95, 99)) if good else (0.0, 0.0, 0.0)
    statuses = Counter(outcome.status for outcome in outcomes)
    return Summary(
        len(outcomes),
        len(good),
        dict(sorted(statuses.items())),
        float(p50),
        float(p95),
        float(p99),
        max(good, default=0.0),
    )


class Load:
    """Sends requests through one client and notes what became of each; retries nothing.

    Args:
        client: has the server's address, a timeout, and room for the connections.
        makes: for each kind of request, what makes the next one.
    """

    def __init__(
        self, client: httpx.AsyncClient, makes: Mapping[str, Callable[[], Request]]
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._client = client
        self._makes = makes
        self._began = time.perf_counter()

    @property
    def now_s(self) -> float:
        """Since this load was made."""
        return time.perf_counter() - self._began

    async def send(self, kind: str) -> Outcome:
        """One request of a kind."""
        request = self._makes[kind]()
        sent = self.now_s
        try:
            answer = await self._client.request(**request)
        except httpx.HTTPError as error:
            outcome = Outcome(kind, sent, self.now_s - sent, BROKEN, detail=repr(error)[:200])
        else:
            outcome = Outcome(
                kind,
                sent,
                self.now_s - sent,
                answer.status_code,
                _seconds(answer.headers.get("retry-after")),
                "" if answer.is_success else answer.text[:200],
            )
        self.outcomes.append(outcome)
        return outcome

    async def at_a_rate(
        self, kind: str, rate: float, seconds: float, *, seed: int = 1
    ) -> list[Outcome]:
        """Poisson arrivals of `rate` requests a second for `seconds`; waits for all answers.

        Args:
            kind: what is asked for.
            rate: requests a second on average.
            seconds: how long requests are sent.
            seed: of the moments, so that another run has the same ones.
        """
        dice = np.random.default_rng(seed)
        moments, now = [], 0.0
        while (now := now + dice.exponential(1 / rate)) < seconds:
            moments.append(now)
        return await self.at_moments([(moment, kind) for moment in moments])

    async def at_moments(self, requests: Sequence[tuple[float, str]]) -> list[Outcome]:
        """Each kind at its moment, in seconds from now; waits for all answers."""
        began = self.now_s

        async def one(moment: float, kind: str) -> Outcome:
            await asyncio.sleep(moment - (self.now_s - began))
            return await self.send(kind)

        return list(await asyncio.gather(*(one(moment, kind) for moment, kind in requests)))

    async def in_turn(
        self, kind: str, clients: int, seconds: float, pause_s: float = 0.0
    ) -> list[Outcome]:
        """As many clients, each asking again once it is answered, until `seconds` are over.

        Args:
            kind: what is asked for.
            clients: how many.
            seconds: no request starts later than that; those under way are waited for.
            pause_s: how long a client rests between an answer and its next request.
        """
        until = self.now_s + seconds

        async def one() -> list[Outcome]:
            own = []
            while self.now_s < until:
                own.append(await self.send(kind))
                await asyncio.sleep(pause_s)
            return own

        return [
            one for some in await asyncio.gather(*(one() for _ in range(clients))) for one in some
        ]


async def while_running(
    load: Coroutine[Any, Any, list[Outcome]], *events: tuple[float, Callable[[], Awaitable[None]]]
) -> list[Outcome]:
    """The outcomes of a load during which each event happens at its second."""

    async def happen(moment: float, event: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(moment)
        await event()

    sending = asyncio.ensure_future(load)
    await asyncio.gather(sending, *(happen(*event) for event in events))
    return sending.result()


def _seconds(header: str | None) -> float | None:
    return float(header) if header else None
