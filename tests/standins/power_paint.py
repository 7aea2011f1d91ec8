"""Small random PowerPaint checkpoints, stored as the published ones are: versions 1 and 2.

What both add to Stable Diffusion's layout are the learnt words: `added_tokens.json` and
`added_tokens_decoder` beside CLIP's vocabulary, as transformers 4.35 and later write them, and the
text encoder's rows for them. Importing this imports no torch.
"""

import json
from pathlib import Path

from tests.standins.brushnet import random_weights, save_brushnet, small_config, small_shapes
from tests.standins.clip_vocabulary import write_vocabulary
from tests.standins.diffusion import WIDTH, random_text_encoder, write_folder

NETWORK = "PowerPaint_Brushnet"
BRUSHNET_WEIGHTS = "diffusion_pytorch_model.fp16.safetensors"

WORDS = ("P_ctxt", "P_shape", "P_obj")
"""In the order in which the authors' code adds them (utils.add_tokens of open-mmlab/PowerPaint)."""
ADDED = tuple(f"{word}_{number}" for word in WORDS for number in range(10))


def write_power_paint(
    folder: Path, *, variant: str | None = None, checker: bool = False, width: int = WIDTH
) -> Path:
    """Version 1: a 9-channel Stable Diffusion 1.5 that knows the words. Returns `folder`."""
    write_folder(folder, "sd15", 9, variant=variant, checker=checker, width=width)
    teach_words(folder / "tokenizer", folder / "text_encoder", variant=variant)
    return folder


def teach_words(
    tokenizer: Path, text_encoder: Path, *, variant: str | None = None, second: bool = False
) -> None:
    """Write a vocabulary with the words, and a text encoder that has a row for every entry.

    The words' rows are larger: they matter. `second`: as wide as SDXL's second text encoder.
    """
    import torch

    entries = write_vocabulary(tokenizer)
    add_words(tokenizer, entries)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        encoder = random_text_encoder(entries + len(ADDED), second=second)
    encoder.get_input_embeddings().weight.data[-len(ADDED) :] *= 4
    if variant == "fp16":
        encoder.to(torch.float16)
    encoder.save_pretrained(text_encoder, variant=variant)


def add_words(tokenizer: Path, entries: int) -> None:
    """Add the words' vectors to a vocabulary that has `entries` entries."""
    numbers = {token: entries + number for number, token in enumerate(ADDED)}
    (tokenizer / "added_tokens.json").write_text(json.dumps(numbers, indent=2, sort_keys=True))
    plain = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    path = tokenizer / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    vocabulary = json.loads((tokenizer / "vocab.json").read_text("utf-8"))
    known = {
        str(number): {"content": token, **plain, "special": token not in numbers}
        for token, number in (vocabulary | numbers).items()
        if token in numbers or token in (settings["bos_token"], settings["eos_token"])
    }
    path.write_text(json.dumps(settings | {"added_tokens_decoder": known}, indent=2))


def write_power_paint_v2(
    folder: Path, *, seed: int = 0, zeroed: bool = False, width: int = WIDTH
) -> Path:
    """Version 2's three folders, its weights in float16 as IOPaint asks for them. Returns `folder`.

    Args:
        folder: is made.
        seed: decides the BrushNet's weights.
        zeroed: let the BrushNet's output convolutions be zero, as they are before training.
        width: of the UNet that it is to guide, `tests.standins.diffusion.random_unet`.
    """
    import torch

    teach_words(folder / "tokenizer", folder / "text_encoder_brushnet", variant="fp16")
    state = random_weights(small_shapes("power_paint_v2", width), seed)
    for key in state:
        if key.startswith("brushnet_"):  # or else nothing of the UNet's own would be left
            state[key] *= 0 if zeroed else 1 / 4
        if "attn2.to_v" in key or "attn2.to_out" in key:  # let words count, as training does
            state[key] *= 4
    half = {key: tensor.to(torch.float16) for key, tensor in state.items()}
    save_brushnet(folder / NETWORK, small_config("power_paint_v2", width), half, BRUSHNET_WEIGHTS)
    return folder
