"""What a server does about a model that is asked for and whose weights are missing."""

import asyncio
from collections.abc import Awaitable, Callable

from deployments.observer import DownloadObserver
from deployments.weights.fetcher import BackgroundFetcher
from deployments.weights.store import WeightsStore
from inpaint.errors import WeightsDownloadingError, WeightsMissingError
from inpaint.reports import Download
from inpaint.specs import WeightsSpec
from inpaint.states import ModelState

TELL_EVERY_S = 1.0

_LACKING = frozenset({ModelState.MISSING, ModelState.DOWNLOADING})

Tell = Callable[[], Awaitable[None]]

Refusal = WeightsDownloadingError | WeightsMissingError


class WeightsDesk:
    """Says why a model cannot be had, and has it fetched where that is allowed.

    Belongs to the event loop of its first call.

    Args:
        store: looks and fetches on this machine.
        fetcher: None where nothing may be fetched: a read-only model directory, or no network.
        tell: called every second while something is fetched, and once more when it has ended.
    """

    def __init__(self, store: WeightsStore, fetcher: BackgroundFetcher | None, tell: Tell) -> None:
        self._store = store
        self._fetcher = fetcher
        self._tell = tell
        self._telling: asyncio.Task[None] | None = None

    @property
    def downloads(self) -> tuple[Download, ...]:
        """What this process is fetching."""
        running = self._fetcher.running if self._fetcher else {}
        return tuple(
            Download(name, progress.done_bytes, progress.total_bytes)
            for name, progress in running.items()
        )

    async def lacks(self, spec: WeightsSpec) -> bool:
        """Whether nothing but the model's weights is missing here."""
        return await asyncio.to_thread(self._store.state, spec) in _LACKING

    async def refusal(self, spec: WeightsSpec) -> Refusal:
        """The answer to a request for a model whose weights are missing: it starts the fetch.

        Returns:
            WeightsDownloadingError where they are on their way, WeightsMissingError where somebody
            must fetch them, because nothing may be fetched or fetching has failed.
        """
        error = await asyncio.to_thread(self._refusal, spec)
        self._start_telling()
        return error

    async def require(self, spec: WeightsSpec) -> None:
        """Raise the refusal if the model's weights are missing."""
        if await self.lacks(spec):
            raise await self.refusal(spec)

    def _refusal(self, spec: WeightsSpec) -> Refusal:
        if self._fetcher is None or spec.path is not None:
            # Somebody else may fetch it: the command line, another server.
            is_coming = self._store.state(spec) is ModelState.DOWNLOADING
            return _downloading(spec, None) if is_coming else self._store.missing(spec)
        failure = self._fetcher.start(spec)
        if failure is None:
            found = (entry for entry in self.downloads if entry.model == spec.name)
            return _downloading(spec, next(found, None))
        missing = self._store.missing(spec)
        return WeightsMissingError(
            f"{failure.error.detail} {missing.detail}",
            {**missing.context, "retry_after_s": failure.again_in_s},
        )

    def _start_telling(self) -> None:
        if self.downloads and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._keep_telling())

    async def _keep_telling(self) -> None:
        while self.downloads:
            await self._tell()
            await asyncio.sleep(TELL_EVERY_S)
        await self._tell()


def open_desk(
    store: WeightsStore,
    may_fetch: bool,
    tell: Tell,
    observe: Callable[[], DownloadObserver] = DownloadObserver,
) -> WeightsDesk:
    """The desk of one replica; it fetches only where it may, and tells whom `observe` makes."""
    fetcher = BackgroundFetcher(store, observer=observe()) if may_fetch else None
    return WeightsDesk(store, fetcher, tell)


def _downloading(spec: WeightsSpec, download: Download | None) -> WeightsDownloadingError:
    return WeightsDownloadingError(
        f"The weights of '{spec.name}' are being fetched{_how_far(download)}; try again shortly.",
        {"model": spec.name},
    )


def _how_far(download: Download | None) -> str:
    if download is None or download.done_bytes == 0:
        return ""
    done = f"{download.done_bytes / 1e6:.1f}"
    if download.total_bytes is None:
        return f" ({done} MB so far)"
    return f" ({done} of {download.total_bytes / 1e6:.1f} MB)"
