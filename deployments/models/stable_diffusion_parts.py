"""A Stable Diffusion checkpoint as the parts of a diffusers pipeline, however it is stored."""

import inspect
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import StableDiffusionInpaintPipeline, StableDiffusionXLInpaintPipeline
from transformers import CLIPTokenizer

from deployments.devices import trouble_of
from deployments.models.checkpoints import UNREADABLE, corrupt
from inpaint.errors import WeightsCorruptError
from inpaint.protocols import LoadOptions
from inpaint.specs import Base

# Progress bars have no place in a server's log, nor have users' prompts, which diffusers quotes.
for library in (diffusers, transformers):
    library.utils.logging.disable_progress_bar()
    library.utils.logging.set_verbosity_error()

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

PIPELINES: dict[Base, Any] = {
    "sd15": StableDiffusionInpaintPipeline,
    "sdxl": StableDiffusionXLInpaintPipeline,
}
TEXT_PARTS: dict[Base, tuple[str, ...]] = {
    "sd15": ("tokenizer", "text_encoder"),
    "sdxl": ("tokenizer", "text_encoder", "tokenizer_2", "text_encoder_2"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read, and as what."""

    variant: str | None
    """Weights that are preferred to the full ones."""
    dtype: torch.dtype
    text_dtype: torch.dtype
    with_checker: bool
    vae: Path | None
    """A folder that takes the place of the checkpoint's own VAE. In float16 only: that is where
    SDXL's own overflows, and is made float32 around each use."""
    tokenizer: Path | None
    """A folder with CLIP's vocabulary, for single files."""

    @classmethod
    def of(cls, variant: str | None, options: LoadOptions, adapters: Mapping[str, Path]) -> "Plan":
        dtype = DTYPES[options.precision]
        return cls(
            variant=variant,
            dtype=dtype,
            text_dtype=torch.float32 if options.cpu_textencoder else dtype,
            with_checker=options.safety_checker == "checkpoint",
            vae=adapters.get("vae") if options.precision == "fp16" else None,
            tokenizer=adapters.get("tokenizer"),
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was read. Everything is on the CPU, in evaluation mode."""

    base: Base
    parts: dict[str, Any]
    """By the names of the pipeline's constructor, the checkpoint's own scheduler included."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the constructor."""

    @property
    def is_xl(self) -> bool:
        return self.base == "sdxl"

    @property
    def pipeline_class(self) -> Any:
        return PIPELINES[self.base]

    def assemble(self, kind: Any = None, **parts: Any) -> Any:
        """A pipeline of these parts and None for the rest. Copies no weights.

        Args:
            kind: class of diffusers; None for `pipeline_class`.
            parts: by the names of its constructor.
        """
        kind = kind or self.pipeline_class
        taken = inspect.signature(kind).parameters
        settings = {name: value for name, value in self.settings.items() if name in taken}
        return kind(**dict.fromkeys(self.parts, None) | parts, **settings)


@contextmanager
def reading(path: Path, root: Path | None = None) -> Iterator[None]:
    """Turn what the libraries raise about a file into WeightsCorruptError.

    Args:
        path: of the file, or of the folder of a part.
        root: the checkpoint's folder, from which the message names `path`.
    """
    try:
        yield
    except WeightsCorruptError:
        raise
    except pickle.UnpicklingError as error:
        raise corrupt(
            path, "it is damaged, or holds Python objects besides tensors.", root
        ) from error
    except (*UNREADABLE, OSError) as error:
        if trouble_of(error):
            raise
        raise corrupt(path, "it is damaged, incomplete, or of another network.", root) from error


def read_tokenizer(folder: Path, root: Path | None = None, **settings: Any) -> CLIPTokenizer:
    """CLIP's tokenizer of a folder; `settings` come before those that the folder has.

    Raises:
        WeightsCorruptError: its files are missing or damaged.
    """
    try:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True, **settings)
    except Exception as error:  # the parser is in Rust and raises this very class
        if trouble_of(error):
            raise
        raise corrupt(folder, "it holds no vocabulary of CLIP's.", root) from error
