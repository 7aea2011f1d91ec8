"""The replica that reads text."""

import asyncio
import logging
import time
from functools import partial
from typing import Any

from deployments import devices
from deployments.device_thread import Blame, DeviceThread
from deployments.family import FamilySetup, Report
from deployments.observer import SILENT, ReplicaObserver
from deployments.runners import allow_folders, load_runner
from deployments.spans import forward_spans, load_span
from deployments.weights import WeightsStore
from inpaint.arrays import Image
from inpaint.cpus import usable_cpus
from inpaint.errors import InpaintError
from inpaint.reports import ReplicaReport
from inpaint.settings import MiB, OcrConfig
from inpaint.texts import ReaderOptions, ReadOptions, ReadResult, TextReader

logger = logging.getLogger("ray.serve")


class OcrReplica:
    """Finds and reads text, one picture at a time.

    A plain class: serve_app/app.py makes the deployment of it, and a unit test just calls it.
    Reader and imports load on the thread that reads, at the first picture or before.
    """

    def __init__(
        self,
        setup: FamilySetup,
        name: str,
        report: Report,
        observer: ReplicaObserver = SILENT,
    ) -> None:
        if len(setup.specs) != 1:
            raise ValueError(f"The family {setup.family} must serve exactly one model.")
        allow_folders(setup.model_folders)
        self._spec = setup.specs[0]
        self._setup = setup
        self._name = name
        self._report = report
        self._observer = observer
        self._store = WeightsStore(setup.model_dir, trust_unverified=setup.trust_unverified_weights)
        self._config = OcrConfig()
        self._thread = DeviceThread("read")
        self._reader: TextReader | None = None
        self._reader_options: ReaderOptions | None = None
        self._preloading: asyncio.Task[None] | None = None

    async def reconfigure(self, config: dict[str, Any]) -> None:
        """Take over the deployment's `user_config`; the reader loads again if it must."""
        self._config = OcrConfig.model_validate(config)
        if self._config.preload:
            self._preloading = asyncio.create_task(self._preload())

    async def check_health(self) -> None:
        """Raise when only a restart can help: the device is lost, or a reading never ends."""
        self._thread.check(self._setup.hang_after_s(self._config.hang_after_s))
        await self._tell()

    async def read(self, image: Image, options: ReadOptions) -> ReadResult:
        """Find the lines of text in a picture, and read them if `options` say so.

        Args:
            image: (H, W, 3) uint8 RGB, any size.
            options: they hold for this picture alone.

        Raises:
            WeightsMissingError, WeightsCorruptError, ExtraMissingError: it cannot be loaded.
            OutOfMemoryError: the model or the picture did not fit; the replica goes on.
            ModelError: the load or the reading failed; the replica goes on.
        """
        arrived = time.perf_counter()
        with self._observer.call(self._spec.name):
            reader = await self._loaded()
            answer = await self._read(reader, image, options, arrived)
        forward_spans(self._spec.name, answer.queue_ms, answer.read_ms)
        return answer

    async def _read(
        self, reader: TextReader, image: Image, options: ReadOptions, arrived: float
    ) -> ReadResult:
        name, ready = self._spec.name, time.perf_counter()
        call = partial(_read, reader, image, options, arrived)
        try:
            answer = await self._thread.run(call, self._blame_of_reading(image))
        except InpaintError as error:
            self._observer.failed(name, "forward", error.code)
            raise
        waited_s = answer.queue_ms / 1e3 - (ready - arrived)
        self._observer.ran(name, [waited_s], answer.read_ms / 1e3)
        return answer

    async def _loaded(self) -> TextReader:
        """The reader that the present config asks for, loaded if it must be."""
        wanted = ReaderOptions(
            device=self._setup.device,
            threads=self._config.threads or usable_cpus(),
            engine=self._config.engine,
            det_model=self._config.det_model,
            rec_model=self._config.rec_model,
            max_detector_pixels=self._config.max_detector_pixels,
        )
        if self._reader is not None and self._reader_options == wanted:
            return self._reader
        name, load = self._spec.name, partial(self._load, wanted)
        try:
            with load_span(name):
                return await self._thread.run(load, Blame.of_load(name))
        except InpaintError as error:
            self._observer.failed(name, "load", error.code)
            raise

    def _load(self, wanted: ReaderOptions) -> TextReader:
        """Load on the thread that reads, so that whoever waited for it finds it there."""
        if self._reader is None or self._reader_options != wanted:
            began = time.perf_counter()
            weights = self._store.verified(self._spec)
            devices.bound_threads(wanted.threads)
            self._reader = None  # gone before the next one takes its memory
            runner: type[TextReader] = load_runner(self._spec)
            device = devices.resolve(wanted.device)  # may import torch: not on the event loop
            options = wanted.model_copy(update={"device": device})
            self._reader = runner.load(self._spec, weights, options)
            self._reader_options = wanted
            name, took_s = self._spec.name, time.perf_counter() - began
            self._observer.loaded(name, took_s, self._spec.memory_mb * MiB)
            logger.info("loaded model=%s s=%.1f", name, took_s, extra={"model": name})
        return self._reader

    async def _preload(self) -> None:
        try:
            await self._loaded()
        except InpaintError as error:  # the first picture is told the same
            logger.warning("preload failed: model=%s %s", self._spec.name, error.detail)

    def _blame_of_reading(self, image: Image) -> Blame:
        height, width = image.shape[:2]
        return Blame(
            f"The model '{self._spec.name}' failed on this picture.",
            f"Reading a picture of {width}x{height} px did not fit into memory; try a smaller one.",
            {"model": self._spec.name, "height": height, "width": width},
        )

    async def _tell(self) -> None:
        spec = self._spec
        loaded, held = ((), 0) if self._reader is None else ((spec.name,), spec.memory_mb * MiB)
        await self._report(ReplicaReport(self._name, self._setup.family, loaded, held))


def _read(reader: TextReader, image: Image, options: ReadOptions, arrived: float) -> ReadResult:
    began = time.perf_counter()
    regions = reader.read(image, options)
    ended = time.perf_counter()
    return ReadResult(regions, 1e3 * (began - arrived), 1e3 * (ended - began))
