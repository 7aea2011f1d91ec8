"""Latency and throughput of cv2 requests, beside the limit of this machine.

The limit is decoding, the forward and encoding done bare in this process, plus a no-op request
with the same body and answer through the same Serve topology. All three alternate in one run, so
that a machine whose speed drifts does not favour one of them.

    python -m benchmarks.latency [--runs 15] [--json results.json]
"""

import argparse
import copy
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np
import yaml

from benchmarks import pictures
from benchmarks.servers import serve_run
from deployments.models.opencv import OpenCV
from inpaint import codecs
from inpaint.codecs import Limits
from inpaint.masks import holes
from inpaint.params import EraseParams
from inpaint.plans import StrategyOptions, plan
from inpaint.resources import default_serve_config
from inpaint.specs import StrategyTiling
from inpaint.tiles import cut, paste

SIZES = {"512": (512, 512), "2048": (1536, 2048), "4000x3000": (3000, 4000)}
FORMATS = {"jpeg": pictures.jpeg, "png": pictures.png}
CLIENTS = 8
LIMITS = Limits(max_pixels=100_000_000)


@dataclass
class Case:
    """One picture as it goes over the wire."""

    name: str
    image: bytes
    mask: bytes
    tile: tuple[int, int]
    answer_bytes: int = 0


@dataclass
class Row:
    """What was measured of one case; times are medians in ms."""

    case: str
    ours_ms: float
    bare_ms: float
    noop_ms: float
    ratio_to_limit: float
    per_second_at_8: float
    p99_ms_at_8: float
    stages_ms: dict[str, float]


def bare(case: Case) -> bytes:
    """The same work without a server."""
    picture = codecs.decode(case.image, LIMITS)
    mask = codecs.decode_mask(case.mask, LIMITS)
    image = np.require(picture.image, requirements="W")
    size = (mask.shape[0], mask.shape[1])
    for tile in plan(size, holes(mask), StrategyTiling(), StrategyOptions()).tiles:
        piece = cut(image, mask, tile)
        painted = OpenCV().forward(piece.pixels[None], piece.holes[None], EraseParams())
        paste(image, mask, piece, painted[0])
    return codecs.encode(image, picture.alpha, picture.format, picture.metadata, 95)


def make_cases() -> list[Case]:
    """Every size in every format, with one hole."""
    cases = []
    for size_name, size in SIZES.items():
        image, mask = pictures.photo(size), pictures.one_hole(size)
        tile = plan(size, holes(mask), StrategyTiling(), StrategyOptions()).tiles[0]
        for format_name, encode in FORMATS.items():
            case = Case(
                f"{size_name} {format_name}", encode(image), pictures.png(mask), tile.model_size
            )
            case.answer_bytes = len(bare(case))
            cases.append(case)
    return cases


def seconds(call: Callable[[], object]) -> float:
    """How long `call` takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def ask(client: httpx.Client, case: Case) -> dict[str, float]:
    """One request; its stages in ms, from Server-Timing."""
    files = {"image": case.image, "mask": case.mask}
    answer = client.post("/inpaint", files=files, data={"model": "cv2"})
    answer.raise_for_status()
    entries = (entry.split(";dur=") for entry in answer.headers["server-timing"].split(", "))
    return {name: float(ms) for name, ms in entries}


def ask_noop(client: httpx.Client, case: Case) -> None:
    """The same body through the same topology, without work."""
    height, width = case.tile
    query = {"height": height, "width": width, "answer": case.answer_bytes}
    files = {"image": case.image, "mask": case.mask}
    client.post("/noop/", params=query, files=files).raise_for_status()


def measure(client: httpx.Client, case: Case, runs: int) -> Row:
    """Alternate ours, bare and no-op; then eight clients at once."""
    ours: list[float] = []
    bares: list[float] = []
    noops: list[float] = []
    stages: list[dict[str, float]] = []
    for run in range(runs + 2):
        times = (
            seconds(lambda: stages.append(ask(client, case))),
            seconds(lambda: bare(case)),
            seconds(lambda: ask_noop(client, case)),
        )
        if run >= 2:  # the first ones warm up
            for kept, value in zip((ours, bares, noops), times, strict=True):
                kept.append(1e3 * value)
    rate, p99 = throughput(str(client.base_url), case, max(24, 2 * runs))
    median = statistics.median
    limit = median(bares) + median(noops)
    return Row(
        case=case.name,
        ours_ms=median(ours),
        bare_ms=median(bares),
        noop_ms=median(noops),
        ratio_to_limit=median(ours) / limit,
        per_second_at_8=rate,
        p99_ms_at_8=p99,
        stages_ms={name: median([entry[name] for entry in stages[2:]]) for name in stages[-1]},
    )


def throughput(url: str, case: Case, requests: int) -> tuple[float, float]:
    """Requests per second and the 99th percentile in ms, from CLIENTS connections."""
    with ThreadPoolExecutor(CLIENTS) as pool, httpx.Client(base_url=url, timeout=120) as client:
        list(pool.map(lambda _: ask(client, case), range(CLIENTS)))
        began = time.perf_counter()
        times = list(pool.map(lambda _: seconds(lambda: ask(client, case)), range(requests)))
        rate = requests / (time.perf_counter() - began)
    return rate, 1e3 * statistics.quantiles(times, n=100)[98]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    document = copy.deepcopy(yaml.safe_load(default_serve_config().read_text()))
    document["applications"].append(
        {"name": "noop", "route_prefix": "/noop", "import_path": "benchmarks.noop_app:app"}
    )
    cases = make_cases()
    with (
        serve_run(document, "/readyz") as server,
        httpx.Client(base_url=server.url, timeout=120) as client,
    ):
        rows = [measure(client, case, options.runs) for case in cases]
    report(rows)
    if options.json:
        machine = {"cpu": platform.processor(), "cores": os.cpu_count()}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(
            json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1)
        )


def report(rows: list[Row]) -> None:
    """A Markdown table, and the stages below it."""
    print("| cv2 | ours ms | bare ms | no-op ms | ratio to limit | per s at 8 | p99 ms at 8 |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for row in rows:
        print(
            f"| {row.case} | {row.ours_ms:.0f} | {row.bare_ms:.0f} | {row.noop_ms:.0f} "
            f"| {row.ratio_to_limit:.2f} | {row.per_second_at_8:.1f} | {row.p99_ms_at_8:.0f} |"
        )
    print()
    for row in rows:
        print(row.case, {name: round(ms, 1) for name, ms in row.stages_ms.items()})


if __name__ == "__main__":
    main()
