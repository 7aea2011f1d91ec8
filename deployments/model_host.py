"""What a replica does with its models, whatever their kind: fetch, load, keep, evict, report."""

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from deployments import devices
from deployments.device_thread import Blame, DeviceThread
from deployments.family import FamilySetup, Report
from deployments.model_cache import ModelCache
from deployments.observer import ReplicaObserver
from deployments.runners import allow_folders
from deployments.spans import load_span
from deployments.weights import WeightsStore, open_desk
from inpaint.cpus import usable_cpus
from inpaint.errors import InpaintError, ModelError, OutOfMemoryError
from inpaint.protocols import LoadOptions
from inpaint.reports import ReplicaReport
from inpaint.settings import MiB
from inpaint.specs import ModelSpec, WeightsSpec
from inpaint.states import ModelState

logger = logging.getLogger("ray.serve")

Model = TypeVar("Model")

ReadModel = Callable[[ModelSpec, Sequence[Path], LoadOptions], Model]
"""Reads a model from its verified files. Runs on the thread that loads."""


class ModelHost(Generic[Model]):
    """The models of one replica, within a byte budget; used under a lease.

    Loads run on a thread of their own, so that one model's load does not stop the rest.

    Args:
        setup: what the replica is made of.
        name: the replica's.
        report: told what the replica holds.
        read: reads a model.
        max_loaded_mb: the budget, in MiB, until `configure` is called.
        observer: told of loads, evictions, failures and downloads.
    """

    def __init__(
        self,
        setup: FamilySetup,
        name: str,
        report: Report,
        read: ReadModel[Model],
        max_loaded_mb: int,
        observer: ReplicaObserver,
    ) -> None:
        allow_folders(setup.model_folders)
        self.specs = {spec.name: spec for spec in setup.specs}
        self._setup = setup
        self._name = name
        self._report = report
        self._read = read
        self._observer = observer
        self._threads: int | None = None
        self._store = WeightsStore(setup.model_dir, trust_unverified=setup.trust_unverified_weights)
        self._desk = open_desk(
            self._store, setup.may_fetch_weights, self.tell, lambda: observer.downloads
        )
        self._loads = DeviceThread("load")
        self._cache = ModelCache[Model](self._load, self._cost, max_loaded_mb * MiB, self._evicted)
        self._doors: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # keep callers in order
        self._telling: asyncio.Task[None] | None = None

    def configure(self, threads: int | None, max_loaded_mb: int) -> None:
        """Take over new settings; `threads` of None means as many as there are cores."""
        self._threads = threads
        self._cache.budget = max_loaded_mb * MiB

    @property
    def threads(self) -> int:
        """How many threads compute."""
        return self._threads or usable_cpus()

    @property
    def held(self) -> tuple[str, ...]:
        """Names of the models that are ready or being loaded."""
        return self._cache.held

    async def check_health(self) -> None:
        """Raise when a load has lost the device, and report what is loaded."""
        self._loads.check(math.inf)  # a load is as slow as the disk
        await self.tell()

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Model]:
        """The model called `name`, kept while the block runs. Callers get it in their order.

        Raises:
            WeightsMissingError, WeightsCorruptError, ExtraMissingError: it cannot be loaded.
            WeightsDownloadingError: not yet.
            OutOfMemoryError: it did not fit.
            ModelError: the load failed.
        """
        async with AsyncExitStack() as held:
            held.enter_context(self._observer.call(name))
            async with self._doors[name]:
                if name not in self._cache.loaded:  # and evict nobody for weights not here
                    await self._desk.require(self.specs[name])
                model = await held.enter_async_context(self._cache.lease(name))
            yield model

    @asynccontextmanager
    async def pinned(self, name: str) -> AsyncIterator[None]:
        """Keep a model that is leased now, even when that lease ends while the block runs."""
        async with self._cache.pinned(name):
            yield

    async def forward_failed(self, name: str, error: InpaintError) -> None:
        """Take note of it. Where memory ran out, drop every model that nobody uses."""
        self._observer.failed(name, "forward", error.code)
        if isinstance(error, OutOfMemoryError):
            await self._cache.evict_idle()

    async def require(self, spec: WeightsSpec) -> Path:
        """The one verified file or folder of what completes a model; `lease` says what is raised.

        It is fetched where it is missing and may be.
        """
        await self._desk.require(spec)
        return (await asyncio.to_thread(self._store.verified, spec))[0]

    def find(self, spec: WeightsSpec) -> Path | None:
        """The same where it is here, else None. Looks at files: call on a thread."""
        is_here = self._store.state(spec) is ModelState.DOWNLOADED
        return self._store.verified(spec)[0] if is_here else None

    async def tell(self) -> None:
        """Report what the replica holds."""
        await self._report(
            ReplicaReport(
                self._name,
                self._setup.family,
                self._cache.loaded,
                self._cache.held_bytes,
                self._desk.downloads,
            )
        )

    async def _load(self, name: str) -> Model:
        began = time.perf_counter()
        call = partial(self._read_model, self.specs[name])
        try:
            with load_span(name):
                model = await self._loads.run(call, Blame.of_load(name))
        except InpaintError as error:
            self._observer.failed(name, "load", error.code)
            raise
        took_s = time.perf_counter() - began
        self._observer.loaded(name, took_s, self._cost(name))
        logger.info("loaded model=%s s=%.1f", name, took_s, extra={"model": name})
        self._telling = asyncio.create_task(self.tell())  # runs when this load counts as done
        return model

    def _read_model(self, spec: ModelSpec) -> Model:
        weights = self._store.verified(spec)
        setup = self._setup
        device = devices.resolve(setup.device)
        devices.cap_memory(device, setup.gpu_share)
        options = LoadOptions(
            device=device,
            precision=setup.precision_of(spec),
            engine=setup.engine,
            threads=self.threads,
            low_mem=setup.low_mem,
            cpu_offload=setup.cpu_offload,
            cpu_textencoder=setup.cpu_textencoder,
            safety_checker=setup.safety_checker,
        )
        return self._read(spec, weights, options)

    def _evicted(self, names: Sequence[str]) -> None:
        devices.free_memory()
        self._observer.evicted(names)

    def _cost(self, name: str) -> int:
        spec = self.specs[name]
        full = spec.memory_mb * MiB
        return full if self._setup.precision_of(spec) == "fp32" else full // 2


def check_answer(model: str, answer: np.ndarray[Any, Any], shape: tuple[int, ...]) -> None:
    """Raise ModelError unless a model's answer is uint8 and of `shape`.

    numpy would broadcast a wrong answer into a wrong image without a word.
    """
    if answer.shape != shape or answer.dtype != np.uint8:
        raise ModelError(
            f"The model '{model}' answered with an array of the wrong kind.",
            {"shape": str(answer.shape), "dtype": str(answer.dtype)},
        )
