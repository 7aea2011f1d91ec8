"""What accelerators this machine has, as JSON on stdout.

A program of its own: importing torch takes seconds and some 300 MB, which the command line would
keep for as long as the server runs. Arguments: what to ask, `torch` and `onnxruntime`.
"""

import ctypes
import json
import sys
from importlib.util import find_spec
from typing import Any


def ask_torch() -> dict[str, Any]:
    """What torch can compute on; {"torch": None} where it is not installed."""
    if find_spec("torch") is None:
        return {"torch": None}
    import torch

    return {
        "torch": torch.__version__,
        "has_cuda_build": bool(torch.version.cuda or torch.version.hip),
        "gpus": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "has_mps": torch.backends.mps.is_available(),
    }


def ask_onnxruntime() -> dict[str, Any]:
    """Whether the installed ONNX Runtime was built for CUDA. It lists that without a GPU too."""
    if find_spec("onnxruntime") is None:
        return {"onnxruntime": None}
    import onnxruntime

    providers = onnxruntime.get_available_providers()
    return {
        "onnxruntime": onnxruntime.__version__,
        "onnxruntime_has_cuda": "CUDAExecutionProvider" in providers,
    }


def count_gpus() -> int:
    """How many CUDA devices the driver lets this process see."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def main(names: list[str]) -> None:
    """Ask what `names` say; the driver counts the GPUs where torch is not there to do it."""
    facts = ask_torch()
    if facts["torch"] is None:
        facts["gpus"] = count_gpus()
    if "onnxruntime" in names:
        facts |= ask_onnxruntime()
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1:])
