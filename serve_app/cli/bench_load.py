"""How long a server takes: requests from a number of clients, each asking again once answered."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from inpaint import codecs
from inpaint.arrays import Size
from inpaint.codecs import Format, Metadata
from inpaint_client import NO_RETRIES, ApiError, AsyncClient, InpaintClientError, Painted
from serve_app.cli.run_config import Wanted
from serve_app.cli.run_work import NO_ANSWER, patient

PERCENTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}
WARM_UP_S = 600.0
"""For the first request of a model, which loads it."""
REFUSED_PAUSE_S = 0.1
"""A client that was refused asks again then: what counts is how many are refused, not how fast."""
JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and its mask."""

    image: bytes
    mask: bytes


def make_pair(size: Size) -> Pair:
    """A JPEG of (height, width) `size` with structure and grain like a photo's, and the mask of a
    square of a quarter of its shorter side.
    """  # noqa: D205  one sentence
    height, width = size
    dice = np.random.default_rng(0)
    coarse = dice.integers(0, 256, (9, 12, 3), np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = dice.normal(0, 3, (height, width, 1))
    photo = np.asarray(np.clip(image + grain, 0, 255), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    side = max(1, min(size) // 4)
    top, left = (height - side) // 2, (width - side) // 2
    mask[top : top + side, left : left + side] = 255
    encoded = codecs.encode(photo, None, Format.JPEG, Metadata(), JPEG_QUALITY)
    return Pair(encoded, cv2.imencode(".png", mask)[1].tobytes())


@dataclass(frozen=True, slots=True)
class Sample:
    """One request."""

    took_s: float
    code: str | None
    """Of what went wrong; None: nothing."""
    stages_ms: Mapping[str, float]


async def warm_up(client: AsyncClient, pair: Pair, wanted: Wanted) -> None:
    """One request that counts nothing; raises what the client does."""
    await _ask(client, pair, wanted, timeout_s=WARM_UP_S)


async def measure(
    client: AsyncClient, pair: Pair, wanted: Wanted, clients: int, seconds: float
) -> tuple[list[Sample], float]:
    """What as many clients see, and how many seconds it took.

    No request begins after `seconds`, but each client makes one at least.
    """
    samples: list[Sample] = []
    began = time.perf_counter()

    async def ask_in_turn() -> None:
        while True:
            samples.append(await _sample(partial(_ask, client, pair, wanted)))
            if samples[-1].code is not None:
                await asyncio.sleep(REFUSED_PAUSE_S)
            if time.perf_counter() - began >= seconds:
                return

    await asyncio.gather(*(ask_in_turn() for _ in range(clients)))
    return samples, time.perf_counter() - began


async def _ask(
    client: AsyncClient, pair: Pair, wanted: Wanted, timeout_s: float | None = None
) -> Painted:
    params, example = wanted
    return await client.inpaint(
        pair.image, pair.mask, example=example, timeout_s=timeout_s, **params
    )


async def _sample(ask: Callable[[], Awaitable[Painted]]) -> Sample:
    began = time.perf_counter()
    code, stages = None, {}
    try:
        stages = dict((await ask()).timings_ms)
    except ApiError as error:
        code = error.code
    except InpaintClientError:
        code = NO_ANSWER
    return Sample(time.perf_counter() - began, code, stages)


def summed_up(samples: Sequence[Sample], seconds: float) -> dict[str, Any]:
    """What is written of a case: successes' times and rate, failures by code."""
    good = [sample for sample in samples if sample.code is None]
    times = np.array([sample.took_s for sample in good]) * 1e3
    failed = Counter(sample.code for sample in samples if sample.code is not None)
    stages = {name for sample in good for name in sample.stages_ms}
    latency = (
        {name: float(np.percentile(times, q)) for name, q in PERCENTILES.items()} if good else {}
    )
    if good:
        latency |= {"mean": float(times.mean()), "longest": float(times.max())}
    return {
        "requests": len(samples),
        "failed": dict(failed),
        "seconds": round(seconds, 3),
        "per_second": round(len(good) / seconds, 3),
        "latency_ms": {name: round(ms, 2) for name, ms in latency.items()},
        "server_ms": {
            name: round(float(np.median([one.stages_ms.get(name, 0.0) for one in good])), 2)
            for name in sorted(stages)
        },
    }


def clients_of(url: str, api_key: str | None, http: Any) -> tuple[AsyncClient, AsyncClient]:
    """One that waits until a model is loaded, and one that retries nothing."""
    return (
        AsyncClient(url, api_key=api_key, retries=patient(WARM_UP_S), http=http),
        AsyncClient(url, api_key=api_key, retries=NO_RETRIES, http=http),
    )
