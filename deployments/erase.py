"""The replica that serves a family of erase models."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments import devices
from deployments.device_thread import Blame, DeviceThread
from deployments.family import FamilySetup, Report
from deployments.keyed_batcher import KeyedBatcher
from deployments.model_host import ModelHost, check_answer
from deployments.observer import SILENT, ReplicaObserver
from deployments.runners import load_runner
from deployments.spans import forward_spans
from inpaint.arrays import Image, Mask, Size, check_pair
from inpaint.errors import InpaintError
from inpaint.params import EraseParams
from inpaint.protocols import InpaintModel, LoadOptions, Painted
from inpaint.settings import EraseConfig
from inpaint.specs import ModelSpec
from inpaint.tiles import pad

USUAL_PIXELS = 2**22
"""Up to this many, a forward counts as hung after `hang_after_s`; a larger one in proportion."""


@dataclass(frozen=True, slots=True)
class _Key:
    """Tiles that can share a forward."""

    model: str
    size: Size
    params: EraseParams


@dataclass(frozen=True, slots=True)
class _Item:
    model: InpaintModel
    image: Image
    mask: Mask
    arrived: float
    ready: float = field(default_factory=time.perf_counter)
    """When its model was there."""


class EraseReplica:
    """Loads models on demand and repaints tiles, one forward at a time.

    A plain class: serve_app/app.py makes the deployment of it, and a unit test just calls it.
    The event loop only waits; forwards run on one thread of their own, which is never abandoned
    to run two at once, and loads on another, so that one model's load does not stop the rest.
    """

    def __init__(
        self,
        setup: FamilySetup,
        name: str,
        report: Report,
        observer: ReplicaObserver = SILENT,
    ) -> None:
        self._config = EraseConfig()
        self._setup = setup
        self._observer = observer
        self._forwards = DeviceThread("forward")
        self._host = ModelHost(
            setup, name, report, _read_model, self._config.max_loaded_mb, observer
        )
        self._batcher = KeyedBatcher[_Key, _Item, Painted](
            self._run, self._max_items, observer.waiting
        )

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Take over the deployment's `user_config`; running forwards end under the old one."""
        self._config = EraseConfig.model_validate(config)
        self._host.configure(self._config.threads, self._config.max_loaded_mb)

    async def check_health(self) -> None:
        """Raise when only a restart can help: the device is lost, or a forward never ends."""
        self._forwards.check(self._setup.hang_after_s(self._config.hang_after_s))
        await self._host.check_health()

    async def paint(self, model: str, image: Image, mask: Mask, params: EraseParams) -> Painted:
        """Repaint one tile.

        Args:
            model: name of a model of this family.
            image: (H, W, 3) uint8 RGB, any size.
            mask: (H, W) uint8, 0..255.
            params: validated parameters of the model's kind.

        Raises:
            WeightsMissingError, WeightsCorruptError, ExtraMissingError: it cannot be loaded.
            WeightsDownloadingError: not yet.
            OutOfMemoryError: the model or the forward did not fit; the replica goes on.
            ModelError: the load or the forward failed; the replica goes on.
        """
        arrived = time.perf_counter()
        check_pair(image, mask)
        key = _Key(model, self._host.specs[model].size.padded(mask.shape), params)
        async with self._host.lease(model) as loaded:
            painted = await self._batcher.submit(key, _Item(loaded, image, mask, arrived))
        forward_spans(model, painted.queue_ms, painted.forward_ms, painted.batch)
        return painted

    async def _run(self, key: _Key, items: Sequence[_Item]) -> list[Painted]:
        """One forward. Keeps the model even if all callers have hung up meanwhile."""
        async with self._host.pinned(key.model):
            began = time.perf_counter()
            call = partial(self._forward, items[0].model, key, items)
            try:
                images = await self._forwards.run(call, _blame_of_forward(key), _patience(key))
            except InpaintError as error:
                await self._host.forward_failed(key.model, error)
                raise
            forward_s = time.perf_counter() - began
        self._observer.ran(key.model, [began - item.ready for item in items], forward_s)
        return [
            Painted(image, 1e3 * (began - item.arrived), 1e3 * forward_s, len(items))
            for image, item in zip(images, items, strict=True)
        ]

    def _forward(self, model: InpaintModel, key: _Key, items: Sequence[_Item]) -> list[Image]:
        """Pad, stack, run and crop, on the compute thread."""
        devices.bound_threads(self._host.threads)
        images = _stacked([pad(item.image, key.size) for item in items])
        masks = _stacked([pad(item.mask, key.size) for item in items])
        answer = model.forward(images, masks, key.params)
        check_answer(key.model, answer, images.shape)
        return [
            np.ascontiguousarray(image[: item.mask.shape[0], : item.mask.shape[1]])
            for image, item in zip(answer, items, strict=True)
        ]

    def _max_items(self, key: _Key) -> int:
        if not self._host.specs[key.model].batchable:
            return 1
        return self._config.max_batch_pixels // (key.size[0] * key.size[1])


def _read_model(spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> InpaintModel:
    model: InpaintModel = load_runner(spec).load(spec, weights, options)
    return model


def _blame_of_forward(key: _Key) -> Blame:
    height, width = key.size
    return Blame(
        f"The model '{key.model}' failed on this picture.",
        f"A tile of {width}x{height} px did not fit into memory; try a smaller one, "
        "e.g. hd_strategy=Crop or a lower hd_strategy_resize_limit.",
        {"model": key.model, "height": height, "width": width},
    )


def _patience(key: _Key) -> float:
    """A forward takes as long as its pixels are many; small ones do not differ."""
    return max(1.0, key.size[0] * key.size[1] / USUAL_PIXELS)


def _stacked(arrays: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """A batch; a batch of one is a view."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)
