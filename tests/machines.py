"""Machines that are not at hand: packages in the place of torch and ONNX Runtime.

A folder of them on PYTHONPATH is what a process that looks for accelerators finds.
"""

from pathlib import Path

TORCH = """
__version__ = {version!r}
class version: cuda, hip = {cuda!r}, None
class cuda:
    is_available = staticmethod(lambda: {gpus} > 0)
    device_count = staticmethod(lambda: {gpus})
class backends:
    class mps: is_available = staticmethod(lambda: {mps})
"""
ONNXRUNTIME = """
__version__ = "1.31.1"
get_available_providers = lambda: {providers!r}
"""


def put_torch(folder: Path, gpus: int, cuda: str | None = "12.8", mps: bool = False) -> None:
    """A torch that sees `gpus` CUDA devices; `cuda` None is a build without CUDA."""
    version = "2.13.0+cpu" if cuda is None else "2.13.0"
    _put(folder, "torch", TORCH.format(version=version, cuda=cuda, gpus=gpus, mps=mps))


def put_onnxruntime(folder: Path, has_cuda: bool) -> None:
    """An ONNX Runtime built with or without CUDA."""
    first = ["CUDAExecutionProvider"] if has_cuda else []
    _put(folder, "onnxruntime", ONNXRUNTIME.format(providers=[*first, "CPUExecutionProvider"]))


def hide(folder: Path, *names: str) -> None:
    """As if these packages were not installed: Python runs sitecustomize before anything else."""
    lines = ["import sys", *(f"sys.modules[{name!r}] = None" for name in names)]
    (folder / "sitecustomize.py").write_text("\n".join(lines))


def _put(folder: Path, name: str, code: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(code)
