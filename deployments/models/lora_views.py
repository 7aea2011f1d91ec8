"""A LoRA as a second network around the first one's weights."""

import copy
import logging
from itertools import chain
from pathlib import Path
from typing import Any

from torch import nn

from deployments.devices import trouble_of
from deployments.models.checkpoints import UNREADABLE, corrupt, read_state_dict

logger = logging.getLogger("ray.serve")

LORA_FILE = "pytorch_lora_weights.safetensors"
"""What diffusers calls the one file of a LoRA's repository."""


def with_lora(pipeline_class: Any, unet: Any, source: Path) -> Any:
    """A UNet that computes with the LoRA of `source`, while `unet` goes on without it.

    Its modules are new, and its parameters are those of `unet`: the same objects, so moving one
    to a device moves both, and only the LoRA's own small matrices take memory.

    Args:
        pipeline_class: knows how its LoRA files are named and laid out.
        unet: UNet2DConditionModel, without hooks.
        source: a safetensors file, or a folder with LORA_FILE.

    Raises:
        WeightsCorruptError: the file is damaged, or made for another network.
    """
    path = source / LORA_FILE if source.is_dir() else source
    if not path.is_file():
        raise corrupt(path, "there is no such file.")
    tensors = read_state_dict(path)
    view = share(unet)
    try:
        state, alphas = pipeline_class.lora_state_dict(tensors, unet_config=unet.config)
        pipeline_class.load_lora_into_unet(
            state, network_alphas=alphas, unet=view, adapter_name="lora"
        )
    except (*UNREADABLE, NotImplementedError) as error:
        if trouble_of(error):
            raise
        raise corrupt(path, "it is no LoRA for this checkpoint.") from error
    wanted = sum(key.startswith("unet.") and _is_down(key) for key in state)
    given = sum(_is_down(name) for name, _ in view.named_parameters())
    if not wanted or wanted != given:
        raise corrupt(path, f"it is no LoRA for this checkpoint: {given} of {wanted} layers fit.")
    logger.info("lora loaded file=%s layers=%d", path.name, given)
    return view.to(unet.dtype).requires_grad_(False).eval()


def share(network: nn.Module) -> Any:
    """A network of new modules around the parameters and buffers of `network`."""
    tensors = chain(network.parameters(), network.buffers())
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})


def _is_down(key: str) -> bool:
    """Whether a key names the first matrix of a LoRA's pair, in diffusers' or peft's words."""
    return key.endswith((".down.weight", ".lora_A.weight", ".lora_A.lora.weight"))
