"""PowerPaint v2: a BrushNet with prompts of its own, beside any plain Stable Diffusion 1.5.

As IOPaint 1.6 runs it (model/power_paint/power_paint_v2.py): the BrushNet is told the task's words
and nothing else, through a text encoder that has learnt them; the checkpoint's UNet is told the
request's prompts, through the checkpoint's own text encoder.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTextModel

from deployments.models.brushnet import BrushNet
from deployments.models.brushnet_calls import beside, check_plain, read_for
from deployments.models.brushnet_unet import BrushNetUNet
from deployments.models.checkpoints import corrupt
from deployments.models.power_paint_prompts import check_words, task_prompts
from deployments.models.prompts import PromptCache
from deployments.models.stable_diffusion_calls import Call, Order
from deployments.models.stable_diffusion_folders import read_network
from deployments.models.stable_diffusion_parts import read_tokenizer
from deployments.models.stable_diffusion_shared import Shared
from inpaint.errors import WeightsMissingError
from inpaint.params import DiffusionParams

ROLE = "powerpaint-v2"
VARIANT = "fp16"
"""Which weights of the text encoder are preferred: IOPaint takes these."""
NETWORK, TEXT_ENCODER, TOKENIZER = "PowerPaint_Brushnet", "text_encoder_brushnet", "tokenizer"
"""The folders of Sanster/PowerPaint_v2."""


@dataclass(frozen=True, slots=True)
class PowerPaintV2:
    """What a checkpoint's shelf keeps of it."""

    network: BrushNet
    text: Any
    """A pipeline of the tokenizer and the text encoder, and nothing else."""
    prompts: PromptCache


def guided(shared: Shared, order: Order) -> Call:
    """The call with PowerPaint v2.

    Raises:
        ParamsError: the checkpoint has channels for the mask.
        WeightsMissingError: PowerPaint v2 is not among the order's adapters.
        WeightsCorruptError: it is damaged, or made for another base.
    """
    check_plain(shared, "enable_powerpaint_v2")
    path = order.adapters.get(ROLE)
    if path is None:
        raise WeightsMissingError(
            "enable_powerpaint_v2 needs PowerPaint v2, which is not on the server."
        )
    guide = shared.shelf.get(path, partial(read_power_paint, shared))
    unet = BrushNetUNet(shared.denoiser(order.params, order.adapters), guide.network, weight=1.0)
    return beside(shared, order, unet, lambda: task_prompt(guide.prompts, order.params))


def task_prompt(prompts: PromptCache, params: DiffusionParams) -> Tensor:
    """(B, 77, width) of the task's words; B is 2 with guidance, the negative ones being first."""
    prompt, negative = task_prompts(prompts, params, "", "")
    return prompt.tokens if negative is None else torch.cat([negative.tokens, prompt.tokens])


def read_power_paint(shared: Shared, folder: Path) -> PowerPaintV2:
    """PowerPaint v2 of `folder`, each part where its kind rests.

    Raises:
        WeightsCorruptError: a part is missing, damaged, or made for another base; the vocabulary
            lacks PowerPaint's words.
    """
    tokenizer = read_tokenizer(folder / TOKENIZER, folder)
    dtype = shared.checkpoint.parts["text_encoder"].dtype
    encoder = read_network(CLIPTextModel, folder / TEXT_ENCODER, folder, VARIANT, dtype)
    check_words(tokenizer, encoder, folder)
    network = read_for(shared, folder / NETWORK)
    width, wanted = encoder.config.hidden_size, network.config.cross_attention_dim
    if width != wanted:
        raise corrupt(folder, f"its text encoder is {width} wide, and its BrushNet reads {wanted}.")
    text = shared.checkpoint.assemble(
        scheduler=shared.checkpoint.parts["scheduler"],
        tokenizer=tokenizer,
        text_encoder=shared.place(encoder, is_text=True),
    )
    return PowerPaintV2(network, text, PromptCache(lambda words: shared.encode(words, text)))
