"""What happens on replicas, as metrics of Ray Serve; docs/observability.md lists them.

Serve adds the tags `deployment`, `replica` and `application`. Every value of a tag is a name from
the config or the catalog, or a code of inpaint/errors.py, so that their number is bounded.
"""

import threading
import time
from collections.abc import Sequence

from ray.serve.metrics import Counter, Gauge, Histogram

from deployments.observer import DownloadObserver, ReplicaObserver, Work
from inpaint.buckets import SECONDS

ITEMS = (0.5, 1.5, 2.5, 3.5, 4.5, 6.5, 8.5, 12.5, 16.5, 24.5, 32.5, 64.5)
"""Ray passes a histogram's sum on as if each value lay in the middle of its bucket: so the mean of
batches of up to 4 items is exact."""

REPEAT_S = 5.0
"""How often gauges are set again."""


class LastingGauge:
    """A gauge whose values hold until they change.

    Ray exports only what was set since its last report, every 10 s, and forgets what was not for
    20 s: a value that is set once would be gone while it is still true.
    """

    def __init__(self, name: str, about: str, tags: tuple[str, ...]) -> None:
        self.ray = Gauge(name, about, tags)
        self._values: dict[tuple[tuple[str, str], ...], float] = {}

    def set(self, value: float, tags: dict[str, str]) -> None:
        """Hold `value` from now on."""
        self._values[tuple(tags.items())] = value
        self.ray.set(value, tags)

    def repeat(self) -> None:
        """Tell all values again. May run on another thread than `set`."""
        for tags, value in dict(self._values).items():
            self.ray.set(value, dict(tags))


class DownloadMetrics(DownloadObserver):
    """Metrics of the weights that a process fetches: of a replica, or of an ingress replica."""

    def __init__(self) -> None:
        self._bytes = Counter(
            "inpaint_downloaded_bytes", "Bytes of weights that have arrived.", ("model",)
        )
        self._downloads = Counter(
            "inpaint_downloads",
            "Fetches of weights that have ended, by outcome: ok, or the error's code.",
            ("model", "outcome"),
        )

    def arrived(self, model: str, count: int) -> None:
        """See DownloadObserver."""
        self._bytes.inc(count, {"model": model})

    def ended(self, model: str, outcome: str) -> None:
        """See DownloadObserver."""
        self._downloads.inc(1, {"model": model, "outcome": outcome})


class ReplicaMetrics(ReplicaObserver):
    """Metrics of one replica. Made on the replica: only there Serve's own tags are known.

    Args:
        family: the replica's.
    """

    def __init__(self, family: str) -> None:
        self.downloads = DownloadMetrics()
        self._family = family
        of_model = ("family", "model")
        self._load_seconds = Histogram(
            "inpaint_model_load_seconds",
            "Time that loads of a model took, those that went well.",
            SECONDS,
            of_model,
        )
        self._held = LastingGauge(
            "inpaint_model_held_bytes",
            "What a loaded model counts for in the replica's budget; 0 once it was evicted.",
            of_model,
        )
        self._evictions = Counter(
            "inpaint_model_evictions", "Times that a model was dropped from memory.", of_model
        )
        self._waiting = LastingGauge(
            "inpaint_batch_queue_length", "Tiles that wait for the device.", ("family",)
        )
        self._queue_seconds = Histogram(
            "inpaint_queue_seconds",
            "Time that a tile or picture waited for the device, with its model loaded.",
            SECONDS,
            of_model,
        )
        self._forward_seconds = Histogram(
            "inpaint_forward_seconds",
            "Time that forwards took, or for diffusion whole runs, those that went well.",
            SECONDS,
            of_model,
        )
        self._batch_items = Histogram(
            "inpaint_batch_items", "Tiles or pictures in one forward.", ITEMS, of_model
        )
        self._failures = Counter(
            "inpaint_model_failures",
            "Loads and forwards that failed, by the error's code, e.g. out-of-memory.",
            (*of_model, "work", "code"),
        )
        self._cancelled = Counter(
            "inpaint_cancelled_runs",
            "Calls whose caller has gone before the answer was there.",
            of_model,
        )
        threading.Thread(target=self._repeat, name="gauges", daemon=True).start()

    def loaded(self, model: str, seconds: float, held_bytes: int) -> None:
        """See ReplicaObserver."""
        self._load_seconds.observe(seconds, self._of(model))
        self._held.set(held_bytes, self._of(model))

    def evicted(self, models: Sequence[str]) -> None:
        """See ReplicaObserver."""
        for model in models:
            self._evictions.inc(1, self._of(model))
            self._held.set(0, self._of(model))

    def waiting(self, items: int) -> None:
        """See ReplicaObserver."""
        self._waiting.set(items, {"family": self._family})

    def ran(self, model: str, waited_s: Sequence[float], seconds: float) -> None:
        """See ReplicaObserver."""
        for wait in waited_s:
            self._queue_seconds.observe(wait, self._of(model))
        self._forward_seconds.observe(seconds, self._of(model))
        self._batch_items.observe(len(waited_s), self._of(model))

    def failed(self, model: str, work: Work, code: str) -> None:
        """See ReplicaObserver."""
        self._failures.inc(1, {**self._of(model), "work": work, "code": code})

    def cancelled(self, model: str) -> None:
        """See ReplicaObserver."""
        self._cancelled.inc(1, self._of(model))

    def _repeat(self) -> None:
        while True:
            time.sleep(REPEAT_S)
            for gauge in (self._held, self._waiting):
                gauge.repeat()

    def _of(self, model: str) -> dict[str, str]:
        return {"family": self._family, "model": model}
