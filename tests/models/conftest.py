"""Checkpoints that several test files read; each is written when first asked for."""

from pathlib import Path

import pytest

from tests.standins.any_text import write_any_text
from tests.standins.diffusion import Family, write_folder, write_single_file


@pytest.fixture(scope="session")
def diffusion_folder(tmp_path_factory):
    """A function: the folder of a tiny checkpoint. Read-only; copy it to change it."""
    root = tmp_path_factory.mktemp("diffusion")

    def folder(family: Family = "sd15", channels: int = 9, **options) -> Path:
        path = root / "-".join(map(str, [family, channels, *sorted(options.items())]))
        return path if path.exists() else write_folder(path, family, channels, **options)

    return folder


@pytest.fixture(scope="session")
def diffusion_file(tmp_path_factory, diffusion_folder):
    """A function: the same checkpoint as one file. Read-only."""
    root = tmp_path_factory.mktemp("single-files")

    def file(family: Family = "sd15", channels: int = 9, suffix: str = ".safetensors") -> Path:
        path = root / f"{family}-{channels}{suffix}"
        return (
            path if path.exists() else write_single_file(path, diffusion_folder(family, channels))
        )

    return file


@pytest.fixture
def offloading(monkeypatch):
    """Lets pipelines offload without a GPU: the hooks are real, their device is the CPU."""
    from diffusers import DiffusionPipeline

    asked = []
    original = DiffusionPipeline.enable_model_cpu_offload

    def enable(self, gpu_id=None, device=None):
        asked.append((self, str(device)))
        original(self, gpu_id, "cpu")

    monkeypatch.setattr(DiffusionPipeline, "enable_model_cpu_offload", enable)
    return asked


@pytest.fixture(scope="session")
def any_text_folder(tmp_path_factory) -> Path:
    """AnyText's folder with random weights. Read-only; copy it to change it."""
    return write_any_text(tmp_path_factory.mktemp("any-text") / "anytext")
