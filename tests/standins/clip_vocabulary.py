"""A small vocabulary for CLIP's tokenizer: every byte, and two words."""

import json
from pathlib import Path

START, END = "<|startoftext|>", "<|endoftext|>"
MERGES = (("c", "a"), ("ca", "t</w>"), ("d", "o"), ("do", "g</w>"))


def write_vocabulary(folder: Path, padding: str = END) -> int:
    """vocab.json, merges.txt and the two configs of a published tokenizer. Returns its size."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = byte_letters()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += ["".join(pair) for pair in MERGES] + [START, END]
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": padding}
    settings = special | {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "do_lower_case": True,
    }
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), "utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in MERGES)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(vocabulary)


def byte_letters() -> list[str]:
    """One printable character for each byte, in the order of CLIP's vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = len(set(range(256)) - set(printable))
    return [chr(code) for code in [*printable, *range(256, 256 + others)]]
