"""What a caller can hear of a request while it runs."""

from inpaint.diffusion import Step
from inpaint.jobs import Order


class Watcher:
    """Told, on the event loop, what becomes of one request. This one takes no notice."""

    previews: bool = False
    """Whether steps shall bring a coarse picture along."""

    def started(self, order: Order) -> None:
        """The request is in order, and work on it begins."""

    def step(self, step: Step) -> None:
        """A diffusion model has done a step. After a restart they begin again at 1."""

    def restarted(self) -> None:
        """A replica was lost, and what it had not finished begins anew."""
