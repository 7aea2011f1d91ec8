"""Prompts as a diffusion network reads them, kept for the next request that says the same."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

KEPT_PROMPTS = 64
"""About 20 MB for SDXL in half precision: 77 tokens of 2048 values each."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One text, encoded. Nobody writes into the tensors: requests share them."""

    tokens: Tensor
    """(1, 77, width)"""
    pooled: Tensor | None
    """(1, width) of SDXL's second encoder; None for Stable Diffusion 1.5."""


class PromptCache:
    """Encodes texts, and keeps the ones used last.

    A text's encoding depends on nothing but the text: diffusers too encodes the negative prompt
    by itself, and pads both to the same length.
    """

    def __init__(self, encode: Callable[[str], Prompt], entries: int = KEPT_PROMPTS) -> None:
        self._encode = encode
        self._entries = entries
        self._kept: OrderedDict[str, Prompt] = OrderedDict()

    def __getitem__(self, text: str) -> Prompt:
        prompt = self._kept.get(text)
        if prompt is None:
            prompt = self._encode(text)
            self._kept[text] = prompt
            if len(self._kept) > self._entries:
                self._kept.popitem(last=False)
        self._kept.move_to_end(text)
        return prompt


@torch.no_grad()
def encode(text: str, pipeline: Any, dtype: torch.dtype) -> Prompt:
    """Encode `text` where the pipeline's text encoders are; whoever uses it moves it.

    Args:
        text: anything; what is beyond CLIP's 77 tokens is cut off, as in IOPaint.
        pipeline: with tokenizers and text encoders; it may lack the rest.
        dtype: of the diffusion network.
    """
    encoded = pipeline.encode_prompt(
        prompt=text,
        device=pipeline._execution_device,
        num_images_per_prompt=1,
        do_classifier_free_guidance=False,
    )
    pooled = encoded[2].to(dtype) if len(encoded) > 2 else None
    return Prompt(encoded[0].to(dtype), pooled)


def as_arguments(prompt: Prompt, negative: Prompt | None) -> dict[str, Tensor | None]:
    """What a pipeline's call takes in place of texts; None without guidance."""
    arguments = {
        "prompt_embeds": prompt.tokens,
        "negative_prompt_embeds": None if negative is None else negative.tokens,
    }
    if prompt.pooled is None:
        return arguments
    return arguments | {
        "pooled_prompt_embeds": prompt.pooled,
        "negative_pooled_prompt_embeds": None if negative is None else negative.pooled,
    }
