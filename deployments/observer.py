"""What can be heard of a replica's work; deployments/metrics.py makes metrics of it."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

Work = Literal["load", "forward"]


class DownloadObserver:
    """Told, on any thread, of the weights that a process fetches. This one takes no notice."""

    def arrived(self, model: str, count: int) -> None:
        """So many more bytes of the model's weights are here; at least 1."""

    def ended(self, model: str, outcome: str) -> None:
        """A fetch has ended: "ok", or the code of the error that ended it."""


class ReplicaObserver:
    """Told, on any thread, what happens on one replica. This one takes no notice."""

    downloads: DownloadObserver = DownloadObserver()

    def loaded(self, model: str, seconds: float, held_bytes: int) -> None:
        """A model was read from its files, and counts for so much of the budget."""

    def evicted(self, models: Sequence[str]) -> None:
        """These models were dropped."""

    def waiting(self, items: int) -> None:
        """So many items wait for the device from now on."""

    def ran(self, model: str, waited_s: Sequence[float], seconds: float) -> None:
        """A forward, or a run, has ended well.

        Args:
            model: its name.
            waited_s: how long each of its items waited for it, with the model there.
            seconds: how long it took.
        """

    def failed(self, model: str, work: Work, code: str) -> None:
        """A load or a forward ended with the error of this code; see docs/problems.md."""

    def cancelled(self, model: str) -> None:
        """A caller has gone before its answer was there."""

    @contextmanager
    def call(self, model: str) -> Iterator[None]:
        """Around one call for a model, so that it is noted if its caller goes."""
        try:
            yield
        except asyncio.CancelledError:
            self.cancelled(model)
            raise


SILENT = ReplicaObserver()
"""For a replica that nobody watches."""
