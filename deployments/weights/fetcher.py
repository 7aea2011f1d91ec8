"""Fetching in the background, one model at a time, while the server goes on serving."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from deployments.observer import DownloadObserver
from deployments.weights.fetching import fetch
from deployments.weights.progress import OnProgress, Progress
from deployments.weights.store import WeightsStore
from inpaint.errors import InpaintError
from inpaint.specs import WeightsSpec

logger = logging.getLogger("ray.serve")

PAUSE_AFTER_FAILURE_S = 60.0

Fetch = Callable[[WeightsSpec, WeightsStore, OnProgress], None]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a model could not be fetched."""

    error: InpaintError
    again_in_s: float


class BackgroundFetcher:
    """Fetches models on one thread of its own, in the order in which they are asked for.

    The thread lives as long as there is work. It is a daemon: a replica that ends leaves a part
    behind, which the next one goes on with. Safe to call from any thread.

    Args:
        store: where the weights go.
        fetch: what fetches; `deployments.weights.fetch`.
        pause_after_failure_s: how long a failed fetch is not tried again.
        observer: told of what arrives and how it ends, except of what another process fetches.
    """

    def __init__(
        self,
        store: WeightsStore,
        fetch: Fetch = fetch,
        pause_after_failure_s: float = PAUSE_AFTER_FAILURE_S,
        observer: DownloadObserver | None = None,
    ) -> None:
        self._store = store
        self._fetch = fetch
        self._pause_after_failure_s = pause_after_failure_s
        self._observer = observer or DownloadObserver()
        self._lock = threading.Lock()
        self._waiting: dict[str, WeightsSpec] = {}
        self._progress: dict[str, Progress] = {}
        self._failed: dict[str, tuple[float, InpaintError]] = {}
        self._is_working = False

    @property
    def running(self) -> dict[str, Progress]:
        """How far every model is that is being fetched or waits for its turn."""
        with self._lock:
            return dict(self._progress)

    def start(self, spec: WeightsSpec) -> Failure | None:
        """See to it that the model is being fetched; the failure if it failed a moment ago."""
        with self._lock:
            if spec.name in self._progress:
                return None
            failure = self._recent_failure(spec.name)
            if failure is not None:
                return failure
            self._waiting[spec.name] = spec
            self._progress[spec.name] = Progress(spec.name, 0, None)
            if not self._is_working:
                self._is_working = True
                threading.Thread(target=self._work, name="fetch-weights", daemon=True).start()
            return None

    def _recent_failure(self, name: str) -> Failure | None:
        failed_at, error = self._failed.get(name, (0.0, None))
        if error is None:
            return None
        again_in_s = failed_at + self._pause_after_failure_s - time.monotonic()
        return Failure(error, again_in_s) if again_in_s > 0 else None

    def _work(self) -> None:
        while spec := self._next():
            error = self._fetched(spec)
            with self._lock:
                del self._progress[spec.name]
                self._failed.pop(spec.name, None)
                if error is not None:
                    self._failed[spec.name] = (time.monotonic(), error)

    def _next(self) -> WeightsSpec | None:
        with self._lock:
            if not self._waiting:
                self._is_working = False
                return None
            return self._waiting.pop(next(iter(self._waiting)))

    def _fetched(self, spec: WeightsSpec) -> InpaintError | None:
        """Fetch; the reason where it fails."""
        last: Progress | None = None

        def take_note(progress: Progress) -> None:
            nonlocal last
            with self._lock:
                self._progress[spec.name] = progress
            if (count := _arrived(last, progress)) > 0:
                self._observer.arrived(spec.name, count)
            last = progress

        error = self._error_of(spec, take_note)
        if error is not None:
            self._observer.ended(spec.name, error.code)
        elif last is None or not last.is_elsewhere:
            self._observer.ended(spec.name, "ok")
        return error

    def _error_of(self, spec: WeightsSpec, on_progress: OnProgress) -> InpaintError | None:
        began = time.monotonic()
        try:
            self._fetch(spec, self._store, on_progress)
        except InpaintError as error:
            logger.warning("fetch failed: model=%s %s %s", spec.name, error.detail, error.context)
            return error
        except Exception as error:  # whatever it is, others wait for this thread
            logger.exception("fetch failed: model=%s", spec.name)
            return InpaintError(f"Fetching '{spec.name}' failed: {type(error).__name__}.")
        logger.info("fetched model=%s s=%.1f", spec.name, time.monotonic() - began)
        return None


def _arrived(last: Progress | None, now: Progress) -> int:
    """Bytes that came between two reports; the first one of a file tells what was here before."""
    if last is None or last.file != now.file or last.is_elsewhere or now.is_elsewhere:
        return 0
    return now.done_bytes - last.done_bytes
