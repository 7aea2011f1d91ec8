"""The replica that serves a family of diffusion models."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from deployments import devices
from deployments.affinity import MODELS, RoutingStats
from deployments.device_thread import Blame, DeviceThread
from deployments.family import FamilySetup, Report
from deployments.model_host import ModelHost, check_answer
from deployments.observer import SILENT, ReplicaObserver
from deployments.runners import load_runner
from deployments.spans import forward_spans
from inpaint.adapters import asked_for
from inpaint.arrays import Image, Mask, check_pair
from inpaint.diffusion import DiffusionModel, Step
from inpaint.errors import InpaintError, RequestCancelledError
from inpaint.params import DiffusionParams
from inpaint.protocols import LoadOptions, Painted
from inpaint.settings import DiffusionConfig
from inpaint.specs import AdapterRole, AdapterSpec, ModelSpec

AT_LOADING: frozenset[AdapterRole] = frozenset({"vae", "tokenizer"})
"""What is used where it is here."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One call of paint, as the thread that computes sees it."""

    name: str
    image: Image
    mask: Mask
    params: DiffusionParams
    adapters: Mapping[str, Path]
    previews: bool
    example: Image | None
    arrived: float
    ready: float = field(default_factory=time.perf_counter)
    """When the model was there."""
    events: asyncio.Queue[Step | None] = field(default_factory=asyncio.Queue)
    """Steps; None when the run has ended."""
    begun: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise RequestCancelledError when the caller has gone."""
        if self.stopped.is_set():
            raise RequestCancelledError("The caller has gone.")  # heard by nobody


class DiffusionReplica:
    """Loads models on demand and paints pictures in steps, one picture at a time.

    A plain class: serve_app/app.py makes the deployment of it, and a unit test just calls it.
    The event loop only waits; runs take place on one thread of their own, in the order in which
    their models were ready. A caller who goes stops the run at its next step, or before it begins.
    """

    def __init__(
        self,
        setup: FamilySetup,
        name: str,
        report: Report,
        observer: ReplicaObserver = SILENT,
    ) -> None:
        self._config = DiffusionConfig()
        self._observer = observer
        self._setup = setup
        self._runs = DeviceThread("run")
        self._host = ModelHost(
            setup, name, report, self._read_model, self._config.max_loaded_mb, observer
        )

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Take over the deployment's `user_config`; the running picture ends under the old one."""
        self._config = DiffusionConfig.model_validate(config)
        self._host.configure(self._config.threads, self._config.max_loaded_mb)

    async def check_health(self) -> None:
        """Raise when only a restart can help: the device is lost, or a step never ends."""
        self._runs.check(self._setup.hang_after_s(self._config.hang_after_s))
        await self._host.check_health()

    def record_routing_stats(self) -> RoutingStats:
        """Called by Serve every second; reaches every router of the deployment."""
        return {MODELS: list(self._host.held)}

    async def paint(
        self,
        model: str,
        image: Image,
        mask: Mask,
        params: DiffusionParams,
        previews: bool = False,
        example: Image | None = None,
    ) -> AsyncIterator[Step | Painted]:
        """Paint one picture: a Step for each one that is done, and at last the Painted.

        Args:
            model: name of a model of this family.
            image: (H, W, 3) uint8 RGB, of a size that the model takes.
            mask: (H, W) uint8, 0 or 255.
            params: validated; `seed` is settled.
            previews: whether steps bring a coarse picture along.
            example: (h, w, 3) uint8 RGB of any size, for models that read one.

        Raises:
            WeightsMissingError, WeightsCorruptError, ExtraMissingError: the model, or what the
                parameters ask for besides, cannot be loaded.
            WeightsDownloadingError: not yet.
            ParamsError, ContentRefusedError: see asked_for and DiffusionModel.paint.
            OutOfMemoryError: the model or the run did not fit; the replica goes on.
            ModelError: the load or the run failed; the replica goes on.
        """
        arrived = time.perf_counter()
        check_pair(image, mask)
        adapters = await self._adapters(self._host.specs[model], params)
        async with self._host.lease(model) as loaded:
            run = _Run(model, image, mask, params, adapters, previews, example, arrived)
            work = asyncio.create_task(self._work(loaded, run))
            work.add_done_callback(lambda _: run.events.put_nowait(None))
            try:
                while (step := await run.events.get()) is not None:
                    yield step
                painted = await work
                forward_spans(model, painted.queue_ms, painted.forward_ms)
                yield painted
            finally:
                self._stop(run, work)

    def _stop(self, run: _Run, work: "asyncio.Task[Painted]") -> None:
        """End a run whose caller has gone; nothing to do for one that has ended."""
        run.stopped.set()
        # The thread sets `begun` and then looks at `stopped`, so one of the two sees the other.
        if not run.begun.is_set():
            work.cancel()
        work.add_done_callback(_look_at)

    async def _work(self, model: DiffusionModel, run: _Run) -> Painted:
        """The run. Keeps the model to the end, even if the caller has gone before."""
        async with self._host.pinned(run.name):
            loop = asyncio.get_running_loop()
            try:
                painted = await self._runs.run(
                    partial(self._paint, model, run, loop), _blame_of(run)
                )
            except RequestCancelledError:
                raise
            except InpaintError as error:
                await self._host.forward_failed(run.name, error)
                raise
        waited_s = painted.queue_ms / 1e3 - (run.ready - run.arrived)
        self._observer.ran(run.name, [waited_s], painted.forward_ms / 1e3)
        return painted

    def _paint(self, model: DiffusionModel, run: _Run, loop: asyncio.AbstractEventLoop) -> Painted:
        """Runs on the thread that computes; RequestCancelledError when the caller has gone."""
        run.begun.set()
        began = time.perf_counter()

        def on_step(step: Step) -> None:
            self._runs.beat()
            run.check()
            loop.call_soon_threadsafe(run.events.put_nowait, step)

        run.check()
        devices.bound_threads(self._host.threads)
        asked = (run.image, run.mask, run.params, run.adapters)
        picture = model.paint(*asked, on_step, run.previews, run.example)
        check_answer(run.name, picture, run.image.shape)
        ended = time.perf_counter()
        return Painted(picture, 1e3 * (began - run.arrived), 1e3 * (ended - began), 1)

    async def _adapters(self, spec: ModelSpec, params: DiffusionParams) -> Mapping[str, Path]:
        """What the parameters ask for besides the checkpoint, fetched where it may be."""
        wanted = asked_for(params, self._fitting(spec))
        return {role: await self._host.require(adapter) for role, adapter in wanted.items()}

    def _read_model(
        self, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions
    ) -> DiffusionModel:
        fitting = [adapter for adapter in self._fitting(spec) if adapter.role in AT_LOADING]
        found = {adapter.role: self._host.find(adapter) for adapter in fitting}
        adapters = {role: path for role, path in found.items() if path is not None}
        model: DiffusionModel = load_runner(spec).load(spec, weights, options, adapters)
        return model

    def _fitting(self, spec: ModelSpec) -> list[AdapterSpec]:
        return [adapter for adapter in self._setup.adapters if adapter.fits(spec)]


def _blame_of(run: _Run) -> Blame:
    height, width = run.mask.shape
    return Blame(
        f"The model '{run.name}' failed on this picture.",
        f"Painting {width}x{height} px did not fit into memory; try less, e.g. a box with "
        "use_croper, or a lower sd_scale.",
        {"model": run.name, "height": height, "width": width},
    )


def _look_at(work: "asyncio.Task[Painted]") -> None:
    """Mark an error as seen: nobody may be left to hear of it."""
    if not work.cancelled():
        work.exception()
