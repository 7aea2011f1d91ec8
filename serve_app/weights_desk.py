"""What the edge asks of the weights store: whether weights are here, and to fetch them."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from inpaint.errors import UnavailableError
from inpaint.reports import Download
from inpaint.specs import WeightsSpec


class Desk(Protocol):
    """In production deployments.weights.WeightsDesk, handed in by serve_app/app.py."""

    @property
    def downloads(self) -> tuple[Download, ...]:
        """What this process is fetching."""
        ...

    async def lacks(self, spec: WeightsSpec) -> bool:
        """Whether nothing but the weights of a model or adapter is missing on this machine."""
        ...

    async def refusal(self, spec: WeightsSpec) -> UnavailableError:
        """The answer to a request for such a one; it has the weights fetched where it may."""
        ...


OpenDesk = Callable[[Callable[[], Awaitable[None]]], Desk]
"""Makes the desk of an ingress replica; its argument is called while something is fetched."""
