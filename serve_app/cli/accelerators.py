"""Whether a device exists on this machine, asked before anything is started."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

Library = Literal["torch", "onnxruntime"]
PROBE = Path(__file__).with_name("probe.py")
PROBE_LIMIT_S = 120
"""A first import of torch from a slow disk takes half a minute."""


class Accelerators(BaseModel):
    """What `probe.py` found. A library's version is None where it is not installed."""

    torch: str | None
    has_cuda_build: bool = False
    gpus: int = 0
    """CUDA devices."""
    has_mps: bool = False
    onnxruntime: str | None = None
    onnxruntime_has_cuda: bool = False

    def resolve(self, device: str, library: Library) -> str:
        """What "auto" stands for: "cuda" where `library` can use a GPU, else "cpu"."""
        if device != "auto":
            return device
        return "cpu" if self.refusal("cuda", library) else "cuda"

    def refusal(self, device: str, library: Library) -> str | None:
        """Why `library` cannot compute on `device`; None when it can."""
        if device.startswith("cuda"):
            return self._missing(library) or self._no_cuda(library) or self._no_such_gpu(device)
        if device == "mps" and library == "torch":
            return self._missing(library) or (None if self.has_mps else "torch sees no MPS device.")
        return None

    def _missing(self, library: Library) -> str | None:
        extra = {"torch": "erase", "onnxruntime": "ocr"}[library]
        if getattr(self, library) is not None:
            return None
        return f"{library} is not installed: pip install 'inpaint-serve[{extra}]'."

    def _no_cuda(self, library: Library) -> str | None:
        if library == "torch" and not self.has_cuda_build:
            return (
                f"the installed torch {self.torch} is a build without CUDA. Install one with it "
                "(https://pytorch.org/get-started/locally/)."
            )
        if library == "onnxruntime" and not self.onnxruntime_has_cuda:
            return (
                f"OCR runs on ONNX Runtime, and the installed {self.onnxruntime} is a build "
                "without CUDA. Install onnxruntime-gpu in its place."
            )
        return None

    def _no_such_gpu(self, device: str) -> str | None:
        if self.gpus == 0:
            return (
                "no CUDA device can be used on this machine (`nvidia-smi` shows what its driver "
                "sees)."
            )
        if int(device.partition(":")[2] or 0) >= self.gpus:
            last = f" to cuda:{self.gpus - 1}" if self.gpus > 1 else ""
            return f"the CUDA devices of this machine are cuda:0{last}."
        return None


def probe(libraries: Iterable[Library]) -> Accelerators:
    """Look at this machine in a process of its own; takes as long as importing the libraries.

    Raises:
        OSError: a library cannot be imported; says why.
    """
    command = [sys.executable, "-P", str(PROBE), *libraries]
    env = {"ORT_DISABLE_TELEMETRY": "1", **os.environ}
    try:
        done = subprocess.run(  # noqa: S603  our own
            command, capture_output=True, text=True, timeout=PROBE_LIMIT_S, check=True, env=env
        )
        return Accelerators.model_validate(json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        raise OSError(f"importing torch takes longer than {PROBE_LIMIT_S} s.") from None
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or [f"status {error.returncode}"])[-1]
        raise OSError(f"torch or onnxruntime cannot be imported: {reason}") from None
