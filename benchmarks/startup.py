"""Start to first answer and idle memory, beside an empty Serve application on the same machine.

python -m benchmarks.startup [--runs 3]
"""

import argparse
import statistics
import time
from typing import Any

import httpx
import yaml

from benchmarks import pictures
from benchmarks.servers import Server, serve_run
from inpaint.resources import default_serve_config

EMPTY: dict[str, Any] = {
    "http_options": {"host": "127.0.0.1"},
    "applications": [
        {"name": "empty", "route_prefix": "/", "import_path": "benchmarks.empty_app:app"}
    ],
}
SETTLE_S = 5.0
"""Idle processes still give memory back for a moment."""


def first_picture(server: Server) -> None:
    """One request of the kind that people send."""
    size = (512, 512)
    files = {
        "image": pictures.jpeg(pictures.photo(size)),
        "mask": pictures.png(pictures.one_hole(size)),
    }
    httpx.post(f"{server.url}/inpaint", files=files, timeout=60).raise_for_status()


def one_start(document: dict[str, Any], ready_path: str, *, is_ours: bool) -> tuple[float, float]:
    """Seconds to the first answer, and idle memory in MiB."""
    with serve_run(document, ready_path) as server:
        began = time.perf_counter()
        if is_ours:
            first_picture(server)
        total_s = server.start_s + time.perf_counter() - began
        time.sleep(SETTLE_S)
        return total_s, server.memory_mib()


def main() -> None:
    """Alternate the two and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    ours_config = yaml.safe_load(default_serve_config().read_text())
    empty, ours = [], []
    for _ in range(runs):
        empty.append(one_start(EMPTY, "/", is_ours=False))
        ours.append(one_start(ours_config, "/readyz", is_ours=True))
    print("| application | start to first answer s | idle memory MiB (PSS) |")
    print("|---|--:|--:|")
    for name, measured in (("empty Serve application", empty), ("inpaint-serve", ours)):
        start_s, memory = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f"| {name} | {start_s:.1f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
