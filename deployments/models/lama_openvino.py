"""LaMa on OpenVINO: the same pixels within one level, in three quarters of PyTorch's time on a CPU.

The engine needs a graph of its own, made once from the weights and kept beside them:

    big-lama.pt ─ another process, some 15 s ─► openvino/big-lama.pt-….xml, .bin ─ 2 s ─► engine

One graph serves pictures of every size. What is made here is measured in docs/performance.md.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from deployments.models.fourier_matrices import without_fft
from deployments.models.lama_network import LamaNetwork

BUILD_LIMIT_S = 600.0
"""Making the graph takes about 15 s on an idle core."""

EXAMPLE_PX = 64
"""Side of the picture that the graph is traced with; any that the network takes would do."""


def is_installed() -> bool:
    """Whether the packages of the extra [openvino] are there."""
    return find_spec("openvino") is not None


class OpenVinoNetwork:
    """LaMa's function on a compiled graph; a lama.Network. One call at a time."""

    def __init__(self, graph: Path, threads: int) -> None:
        core = import_openvino().Core()
        self._compiled = core.compile_model(
            core.read_model(graph),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": threads,
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "f32",  # bf16 is slower without AMX, and 1 level off
            },
        )

    def __call__(self, image: Tensor, mask: Tensor) -> Tensor:
        """See LamaNetwork.forward; the answer is a new tensor on the CPU."""
        inputs = [image.contiguous().numpy(), mask.to(torch.float32).numpy()]
        return torch.from_numpy(self._compiled(inputs)[0].copy())


def import_openvino() -> Any:
    """The package, without its reports to its makers, which are on by default.

    It falls back to a stub where it cannot import the package that sends them.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def open_engine(weights: Path, threads: int) -> OpenVinoNetwork:
    """The engine for a file of LaMa's weights; makes its graph where that is not there yet.

    Args:
        weights: TorchScript or a state dict, verified.
        threads: how many the engine computes on.

    Raises:
        OSError, subprocess.SubprocessError, RuntimeError: the graph could not be made or read.
    """
    folder = weights.parent / "openvino"
    try:
        folder.mkdir(exist_ok=True)
        is_writable = os.access(folder, os.W_OK)
    except OSError:
        is_writable = False
    if is_writable:
        graph = folder / graph_name(weights)
        with FileLock(f"{graph}.lock"):  # several replicas may want it
            if not graph.is_file():
                build_apart(weights, graph)
                _remove_older(weights, graph)
        return OpenVinoNetwork(graph, threads)
    with tempfile.TemporaryDirectory(prefix="inpaint-serve-") as private:
        graph = Path(private) / graph_name(weights)
        build_apart(weights, graph)
        return OpenVinoNetwork(graph, threads)  # keeps the files mapped when they are removed


def graph_name(weights: Path) -> str:
    """Tells the weights file, as it is now, and the version that made the graph."""
    stat = weights.stat()
    made_by = version("openvino").split("-")[0]
    return f"{weights.name}-{stat.st_size}-{stat.st_mtime_ns}-{made_by}.xml"


def _remove_older(weights: Path, graph: Path) -> None:
    for path in graph.parent.glob(f"{weights.name}-*"):
        if not path.name.startswith(graph.stem):
            with contextlib.suppress(OSError):
                path.unlink()


def build_apart(weights: Path, graph: Path) -> None:
    """Make `graph` in a process of its own: tracing holds Python's lock for many seconds."""
    command = [sys.executable, "-m", __name__, str(weights), str(graph)]
    subprocess.run(  # noqa: S603  our own module
        command, check=True, timeout=BUILD_LIMIT_S, stdin=subprocess.DEVNULL, capture_output=True
    )


def build(network: LamaNetwork, graph: Path) -> None:
    """Write `network` as an OpenVINO graph for any batch and size; all of it or nothing."""
    openvino = import_openvino()
    side = EXAMPLE_PX
    example = (torch.rand(1, 3, side, side), torch.ones(1, 1, side, side))
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of being deprecated, and of every size
        model = openvino.convert_model(
            without_fft(network), example_input=example, input=[[-1, 3, -1, -1], [-1, 1, -1, -1]]
        )
    with tempfile.TemporaryDirectory(prefix="making-", dir=graph.parent) as part:
        made = Path(part) / graph.name
        openvino.save_model(model, made, compress_to_fp16=False)
        for suffix in (".bin", ".xml"):  # who finds the .xml finds the .bin too
            made.with_suffix(suffix).replace(graph.with_suffix(suffix))


def main(weights: str, graph: str) -> None:
    """Make a graph from a file of weights, giving way to whoever else wants the processor."""
    from deployments.models.lama import read_network

    end_with_parent()
    os.nice(10)
    torch.set_num_threads(1)
    build(read_network(Path(weights)), Path(graph))


def end_with_parent() -> None:
    """On Linux, have this process ended when the replica that started it dies."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1  # noqa: N806  prctl's own name, from linux/prctl.h
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    main(*sys.argv[1:])
