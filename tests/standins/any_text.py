"""AnyText with random weights, in the published layout: all its tensors, only narrower."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.standins.clip_vocabulary import write_vocabulary
from tests.standins.diffusion import TEXT_LAYERS, TEXT_WIDTH, WIDTH

if TYPE_CHECKING:
    from torch import Tensor

FILE = "pytorch_model.fp16.safetensors"
FONT = "SourceHanSansSC-Medium.otf"
PUBLISHED = Path(__file__).parents[1] / "data" / "any_text_state_dict.json"

Shape = tuple[int, ...]

NARROWING: dict[str, dict[int, int]] = {
    # What a count of channels is a multiple of, and what of in its place.
    "model": {320: WIDTH, 768: TEXT_WIDTH},
    "control_model": {320: WIDTH, 768: TEXT_WIDTH},
    "first_stage_model": {128: WIDTH},
    "cond_stage_model": {49408: 0, 3072: 2 * TEXT_WIDTH, 768: TEXT_WIDTH},
    "text_predictor": {6625: 100, 120: 24, 16: 4},
    "embedding_manager": {768: TEXT_WIDTH, 2560: 640},
}


@cache
def published_shapes() -> Mapping[str, Shape]:
    """Every tensor of the published file."""
    shapes = json.loads(PUBLISHED.read_text())["shapes"]
    return {key: tuple(shape) for key, shape in shapes.items()}


def narrow_shapes(entries: int) -> dict[str, Shape]:
    """The same, with fewer channels, and CLIP with two layers and `entries` words."""
    dropped = tuple(f".layers.{layer}." for layer in range(TEXT_LAYERS, 12))
    return {
        key: _narrow(key.partition(".")[0], shape, entries)
        for key, shape in published_shapes().items()
        if not (key.startswith("cond_stage_model") and any(layer in key for layer in dropped))
    }


def _narrow(part: str, shape: Shape, entries: int) -> Shape:
    def small(count: int) -> int:
        for unit, new in NARROWING.get(part, {}).items():
            if count % unit == 0:
                return count // unit * (new or entries)
        return count

    return (*map(small, shape[:2]), *shape[2:])


def random_state(entries: int, seed: int = 0) -> "dict[str, Tensor]":
    """Tensors of `narrow_shapes`, of a size that lets each part show its effect.

    Only numpy's numbers count, which stay the same from version to version.
    """
    import torch

    state = {}
    for index, (key, shape) in enumerate(narrow_shapes(entries).items()):
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
            continue
        draw = np.random.RandomState(10_000 * seed + index)
        values = draw.standard_normal(shape)
        if len(shape) > 1:  # a matrix or a convolution
            values /= values[0].size ** 0.5
        elif key.endswith("running_var"):
            values = 1 + 0.1 * np.abs(values)
        else:  # biases and norms
            values = 0.1 * values + (1 if key.endswith("weight") else 0)
        state[key] = torch.from_numpy((_emphasis(key) * values).astype(np.float32))
    return state


def _emphasis(key: str) -> float:
    """Lets pictures, prompts and lines count for as much as noise, as training does."""
    if "attn2.to_v" in key or "attn2.to_out" in key:
        return 6
    if key == "embedding_manager.proj.weight":
        return 20
    if key.startswith(("control_model.glyph_block", "control_model.position_block")):
        return 2
    if key == "control_model.fuse_block.weight":
        return 10
    return 1


def write_any_text(folder: Path, *, seed: int = 0, vocabulary: bool = True) -> Path:
    """The folder of the repository, with CLIP's vocabulary if that is wanted. Returns it.

    The font is Pillow's own, which has Latin letters.
    """
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    entries = write_vocabulary(folder / "tokenizer")
    if not vocabulary:
        for path in (folder / "tokenizer").iterdir():
            path.unlink()
        (folder / "tokenizer").rmdir()
    state = random_state(entries, seed)
    code = "first_stage_model.quant_conv"  # four means, four logarithms of variances
    state[f"{code}.weight"][:4] *= 40
    state[f"{code}.bias"][4:] = -20
    halved = {
        key: value.to(torch.float16) if value.is_floating_point() else value
        for key, value in state.items()
    }
    save_file(halved, folder / FILE)
    (folder / "model_index.json").write_text('{"_class_name": "AnyText"}')
    write_font(folder / FONT)
    return folder


def write_font(path: Path) -> None:
    """Pillow's own font under any name."""
    from PIL import ImageFont
    from PIL.ImageFont import FreeTypeFont

    font = ImageFont.load_default(10)
    assert isinstance(font, FreeTypeFont)
    path.write_bytes(font.font_bytes)
