"""Diffusion checkpoints without numbers: the heads of files and the configs of folders.

Written by hand, without torch: what discovery reads is all there is.
"""

import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

from inpaint.checkpoint_shapes import Shapes

COMMIT = "a" * 40

WORDS = "embeddings.token_embedding.weight"
VAE: Shapes = {
    "first_stage_model.encoder.conv_in.weight": (128, 3, 3, 3),
    "first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3),
}


def unet(channels: int) -> Shapes:
    return {"model.diffusion_model.input_blocks.0.0.weight": (320, channels, 3, 3)}


def sd15_shapes(channels: int) -> Shapes:
    """Stable Diffusion 1.5, as its authors' files name things."""
    text = {f"cond_stage_model.transformer.text_model.{WORDS}": (49408, 768)}
    return {**unet(channels), **VAE, **text}


def sd2_shapes() -> Shapes:
    """Stable Diffusion 2: an OpenCLIP text encoder in CLIP's place."""
    return {**unet(4), **VAE, "cond_stage_model.model.positional_embedding": (77, 1024)}


def sdxl_shapes(channels: int) -> Shapes:
    """Stable Diffusion XL: both text encoders."""
    text = {
        f"conditioner.embedders.0.transformer.text_model.{WORDS}": (49408, 768),
        "conditioner.embedders.1.model.positional_embedding": (77, 1280),
    }
    return {**unet(channels), **VAE, **text}


def refiner_shapes() -> Shapes:
    """SDXL's refiner: the second text encoder alone."""
    text = {"conditioner.embedders.0.model.positional_embedding": (77, 1280)}
    return {**unet(4), **VAE, **text}


def write_safetensors(path: Path, shapes: Shapes) -> None:
    """Tensors of one byte each, whatever their shapes say."""
    entries = {
        name: {"dtype": "U8", "shape": list(shape), "data_offsets": [place, place + 1]}
        for place, (name, shape) in enumerate(shapes.items())
    }
    header = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(len(entries)))


class FloatStorage:
    """Pickled by name only, as torch's."""


FloatStorage.__module__ = "torch"


class _Tensor:
    """Pickles itself as torch.save has tensors do."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __reduce__(self):
        stride = tuple(1 for _ in self.shape)
        return _rebuild_tensor_v2, (_Storage(), 0, self.shape, stride, False, OrderedDict())


class _Storage:
    """Stands outside of the pickle."""


def _rebuild_tensor_v2(*_):
    """A name that is looked up; never called here."""


class _Pickler(pickle._Pickler):
    """Writes torch's names without having torch."""

    def persistent_id(self, obj):
        return ("storage", FloatStorage, "0", "cpu", 1) if isinstance(obj, _Storage) else None

    def save_global(self, obj, name=None):
        own = {_rebuild_tensor_v2: "torch._utils\n_rebuild_tensor_v2",
               FloatStorage: "torch\nFloatStorage"}  # fmt: skip
        if obj in own:
            self.write(b"c" + own[obj].encode() + b"\n")
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch: ClassVar[dict[Any, Any]] = {
        **pickle._Pickler.dispatch,
        type(_rebuild_tensor_v2): save_global,
        type: save_global,
    }


def pickled(content: object) -> bytes:
    """As torch.save pickles, protocol 2."""
    stream = BytesIO()
    _Pickler(stream, protocol=2).dump(content)
    return stream.getvalue()


def state_dict(shapes: Shapes) -> dict[str, object]:
    """As training frameworks wrap it."""
    tensors = OrderedDict((name, _Tensor(shape)) for name, shape in shapes.items())
    return {"state_dict": tensors, "global_step": 7}


def write_ckpt(path: Path, content: bytes) -> None:
    """A file of torch.save around a pickle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", bytes(4))
        archive.writestr("archive/version", "3\n")


def write_old_ckpt(path: Path, content: bytes) -> None:
    """A file of torch.save before 1.6: magic number, version, machine, and then the pickle."""
    facts = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(pickle.dumps(fact, protocol=2) for fact in facts) + content)


def pipeline_files(
    name: str = "StableDiffusionInpaintPipeline", channels: int = 9, text_width: int = 768
) -> dict[str, bytes]:
    """The files of a pipeline in diffusers' layout; weights are one byte."""
    index = {
        "_class_name": name,
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "safety_checker": [None, None],
    }
    config = {"in_channels": channels, "cross_attention_dim": text_width}
    return {
        "model_index.json": json.dumps(index).encode(),
        "scheduler/scheduler_config.json": b"{}",
        "text_encoder/config.json": b"{}",
        "text_encoder/model.safetensors": b"0",
        "tokenizer/tokenizer_config.json": b"{}",
        "tokenizer/vocab.json": b"{}",
        "tokenizer/merges.txt": b"",
        "unet/config.json": json.dumps(config).encode(),
        "unet/diffusion_pytorch_model.safetensors": b"0",
        "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.safetensors": b"0",
    }


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_repository(folder: Path, files: Mapping[str, bytes], revision: str = "main") -> None:
    """A repository in the hub's cache, at `folder`."""
    write_files(folder / "snapshots" / COMMIT, files)
    write_files(folder / "refs", {revision: COMMIT.encode()})
