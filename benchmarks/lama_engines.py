"""LaMa's engines beside each other: IOPaint's TorchScript, our network, OpenVINO.

    python -m benchmarks.lama_engines --runs 7

Full-size networks with random weights (the published ones are no faster or slower), alternated in
one process; medians, and the ratio to TorchScript. Also how long the engine takes to get ready.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from deployments.models.lama import Network, load_torchscript, read_network
from deployments.models.lama_openvino import open_engine
from inpaint.arrays import Size
from inpaint.cpus import usable_cpus
from tests.standins.lama import write_lama_torchscript

T = TypeVar("T")

SIZES: tuple[Size, ...] = ((256, 256), (512, 512), (384, 640), (768, 1024))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=usable_cpus())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        weights = write_lama_torchscript(Path(folder) / "big-lama.pt", ngf=64, blocks=18)
        networks: dict[str, Network] = {
            "torchscript": load_torchscript(weights, "cpu"),
            "own network": read_network(weights),
        }
        for word in ("first", "next"):
            networks["openvino"], seconds = timed(lambda: open_engine(weights, args.threads))
            print(f"OpenVINO ready at the {word} start after {seconds:.1f} s")
        print(f"{'size':>10}  " + "  ".join(f"{name:>12} ms  ratio" for name in networks)
              + "  largest difference")  # fmt: skip
        for size in SIZES:
            print(row(size, networks, args.runs))


@torch.inference_mode()
def row(size: Size, networks: dict[str, Network], runs: int) -> str:
    """One size: every network in turn, `runs` times, after one run that warms up."""
    torch.manual_seed(0)
    image, mask = torch.rand(1, 3, *size), torch.zeros(1, 1, *size, dtype=torch.int64)
    mask[..., size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 1
    times: dict[str, list[float]] = {name: [] for name in networks}
    answers: dict[str, Tensor] = {}
    for _ in range(runs + 1):
        for name, network in networks.items():
            answers[name], seconds = timed(partial(network, image, mask))
            times[name].append(seconds)
    medians = [statistics.median(seconds[1:]) for seconds in times.values()]
    return (
        f"{size[1]:>5}x{size[0]:<4}  "
        + "  ".join(f"{1e3 * each:>15.0f}  {each / medians[0]:>5.2f}" for each in medians)
        + f"  {spread(list(answers.values())):.2g}"
    )


def spread(answers: Sequence[Tensor]) -> float:
    """Largest difference to the first answer, of 1."""
    return max(float((answer - answers[0]).abs().max()) for answer in answers)


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """What `call` returns, and how many seconds it took."""
    began = time.perf_counter()
    result = call()
    return result, time.perf_counter() - began


if __name__ == "__main__":
    main()
