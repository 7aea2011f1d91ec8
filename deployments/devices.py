"""What a replica must know of its device: threads, memory, and which errors are fatal."""

import gc
import sys
from typing import Any, Literal

import cv2

Trouble = Literal["out-of-memory", "device-lost"]

_DEVICE_LOST = ("cuda error", "cublas_status", "cudnn_status", "device-side assert")


def resolve(device: str) -> str:
    """The device that `device` stands for: "auto" is "cuda" where torch sees a GPU, else "cpu".

    Asks torch and not the resource that Ray assigned: a logical GPU share can be had on a
    machine without one.
    """
    if device != "auto":
        return device
    try:
        import torch
    except ImportError:
        return "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"


def cap_memory(device: str, share: float) -> None:
    """Let this process take at most `share` (0 to 1) of the memory of a CUDA device.

    Ray's GPU shares are scheduling figures and isolate nothing: without this, one replica's
    growth is its neighbours' out-of-memory error.
    """
    if device.startswith("cuda") and 0 < share < 1:
        import torch

        torch.cuda.set_per_process_memory_fraction(share, device)


def bound_threads(count: int) -> None:
    """Let numeric libraries use `count` threads. Call on the thread that computes.

    OpenMP keeps the figure per calling thread, so setting it anywhere else does nothing. Ray
    exports OMP_NUM_THREADS from the replica's CPU share, which is a scheduling figure only.
    """
    cv2.setNumThreads(count)
    torch = _imported_torch()
    if torch is not None and torch.get_num_threads() != count:
        torch.set_num_threads(count)


def free_memory() -> None:
    """Give back what dropped models held. Called after an eviction or an out-of-memory error."""
    gc.collect()
    torch = _imported_torch()
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _imported_torch() -> Any:
    """torch, or None while it is not here: on another thread a load may be importing it."""
    torch = sys.modules.get("torch")
    return None if getattr(getattr(torch, "__spec__", None), "_initializing", False) else torch


def trouble_of(error: BaseException) -> Trouble | None:
    """Whether `error` says that memory ran out, or that the device is gone until a restart."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out-of-memory"
    if isinstance(error, cv2.error | RuntimeError) and (
        "insufficient memory" in text or "can't allocate memory" in text
    ):
        return "out-of-memory"
    if isinstance(error, RuntimeError) and any(mark in text for mark in _DEVICE_LOST):
        return "device-lost"
    return None
