"""The replica that serves a family of erase models."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments import devices
from deployments.device_thread import Blame, DeviceThread
from deployments.keyed_batcher import KeyedBatcher
from deployments.model_cache import ModelCache
from deployments.runners import allow_folders, load_runner
from deployments.weights import WeightsStore
from inpaint.arrays import Image, Mask, Size, check_pair
from inpaint.errors import ModelError, OutOfMemoryError
from inpaint.params import Params
from inpaint.protocols import InpaintModel, LoadOptions, Painted, Precision
from inpaint.reports import ReplicaReport
from inpaint.settings import EraseConfig, MiB
from inpaint.specs import ModelSpec
from inpaint.tiles import pad

logger = logging.getLogger("ray.serve")

Report = Callable[[ReplicaReport], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class FamilySetup:
    """What a replica is made of."""

    family: str
    specs: tuple[ModelSpec, ...]
    device: str = "auto"
    precision: Precision = "fp32"
    model_dir: Path | None = None
    model_folders: tuple[Path, ...] = ()
    trust_unverified_weights: bool = False
    gpu_share: float = 0.0
    """What part of a GPU Ray gave this replica; 0 for none."""


@dataclass(frozen=True, slots=True)
class _Key:
    """Tiles that can share a forward."""

    model: str
    size: Size
    params: Params


@dataclass(frozen=True, slots=True)
class _Item:
    model: InpaintModel
    image: Image
    mask: Mask
    arrived: float


class EraseReplica:
    """Loads models on demand and repaints tiles, one forward at a time.

    A plain class: serve_app/app.py makes the deployment of it, and a unit test just calls it.
    The event loop only waits; forwards run on one thread of their own, which is never abandoned
    to run two at once, and loads on another, so that one model's load does not stop the rest.
    """

    def __init__(self, setup: FamilySetup, name: str, report: Report) -> None:
        allow_folders(setup.model_folders)
        self._setup = setup
        self._name = name
        self._report = report
        self._specs = {spec.name: spec for spec in setup.specs}
        self._store = WeightsStore(setup.model_dir, trust_unverified=setup.trust_unverified_weights)
        self._config = EraseConfig()
        self._forwards = DeviceThread("forward")
        self._loads = DeviceThread("load")
        self._cache = ModelCache[InpaintModel](
            self._load, self._cost, self._config.max_loaded_mb * MiB, devices.free_memory
        )
        self._batcher = KeyedBatcher[_Key, _Item, Painted](self._run, self._max_items)
        self._telling: asyncio.Task[None] | None = None

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Take over the deployment's `user_config`; running forwards end under the old one."""
        self._config = EraseConfig.model_validate(config)
        self._cache.budget = self._config.max_loaded_mb * MiB

    async def check_health(self) -> None:
        """Raise when only a restart can help: the device is lost, or a forward never ends."""
        self._forwards.check(self._config.hang_after_s)
        self._loads.check(math.inf)  # a load is as slow as the disk
        await self._tell()

    async def paint(self, model: str, image: Image, mask: Mask, params: Params) -> Painted:
        """Repaint one tile.

        Args:
            model: name of a model of this family.
            image: (H, W, 3) uint8 RGB, any size.
            mask: (H, W) uint8, 0..255.
            params: validated parameters of the model's kind.

        Raises:
            WeightsMissingError, WeightsCorruptError, ExtraMissingError: it cannot be loaded.
            OutOfMemoryError: the model or the forward did not fit; the replica goes on.
            ModelError: the load or the forward failed; the replica goes on.
        """
        arrived = time.perf_counter()
        check_pair(image, mask)
        key = _Key(model, self._specs[model].size.padded(mask.shape), params)
        async with self._cache.lease(model) as loaded:
            return await self._batcher.submit(key, _Item(loaded, image, mask, arrived))

    async def _run(self, key: _Key, items: Sequence[_Item]) -> list[Painted]:
        """One forward. Keeps the model even if all callers have hung up meanwhile."""
        async with self._cache.pinned(key.model):
            began = time.perf_counter()
            call = partial(self._forward, items[0].model, key, items)
            try:
                images = await self._forwards.run(call, _blame_of_forward(key))
            except OutOfMemoryError:
                await self._cache.evict_idle()
                raise
            forward_ms = 1e3 * (time.perf_counter() - began)
        return [
            Painted(image, 1e3 * (began - item.arrived), forward_ms, len(items))
            for image, item in zip(images, items, strict=True)
        ]

    def _forward(self, model: InpaintModel, key: _Key, items: Sequence[_Item]) -> list[Image]:
        """Pad, stack, run and crop, on the compute thread."""
        devices.bound_threads(self._config.threads or devices.default_threads())
        images = _stacked([pad(item.image, key.size) for item in items])
        masks = _stacked([pad(item.mask, key.size) for item in items])
        answer = model.forward(images, masks, key.params)
        if answer.shape != images.shape or answer.dtype != np.uint8:
            # numpy would broadcast a wrong answer into a wrong image without a word.
            raise ModelError(
                f"The model '{key.model}' answered with an array of the wrong kind.",
                {"shape": str(answer.shape), "dtype": str(answer.dtype)},
            )
        return [
            np.ascontiguousarray(image[: item.mask.shape[0], : item.mask.shape[1]])
            for image, item in zip(answer, items, strict=True)
        ]

    async def _load(self, name: str) -> InpaintModel:
        began = time.perf_counter()
        call = partial(self._read_model, self._specs[name])
        model = await self._loads.run(call, Blame.of_load(name))
        logger.info("loaded model=%s s=%.1f", name, time.perf_counter() - began)
        self._telling = asyncio.create_task(self._tell())  # runs when this load counts as done
        return model

    def _read_model(self, spec: ModelSpec) -> InpaintModel:
        weights = self._store.verified(spec)
        precision = self._setup.precision if self._setup.precision in spec.precisions else "fp32"
        device = devices.resolve(self._setup.device)
        devices.cap_memory(device, self._setup.gpu_share)
        options = LoadOptions(device=device, precision=precision)
        return load_runner(spec).load(spec, weights, options)

    def _cost(self, name: str) -> int:
        return self._specs[name].memory_mb * MiB

    def _max_items(self, key: _Key) -> int:
        if not self._specs[key.model].batchable:
            return 1
        return self._config.max_batch_pixels // (key.size[0] * key.size[1])

    async def _tell(self) -> None:
        await self._report(
            ReplicaReport(
                self._name, self._setup.family, self._cache.loaded, self._cache.held_bytes
            )
        )


def _blame_of_forward(key: _Key) -> Blame:
    height, width = key.size
    return Blame(
        f"The model '{key.model}' failed on this picture.",
        f"A tile of {width}x{height} px did not fit into memory; try a smaller one, "
        "e.g. hd_strategy=Crop or a lower hd_strategy_resize_limit.",
        {"model": key.model, "height": height, "width": width},
    )


def _stacked(arrays: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """A batch; a batch of one is a view."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)
