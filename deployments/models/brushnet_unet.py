"""A checkpoint's UNet with a BrushNet beside it, in the place of the UNet in a pipeline."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from deployments.models.brushnet import BrushNet, Residuals, layers, resamplers
from deployments.models.lora_views import share


class BrushNetUNet(nn.Module):
    """The UNet of one request: in each step the BrushNet runs first, and guides the UNet.

    It works inside a view of the UNet, whose modules are new and whose parameters are those of
    `unet`; so `unet` itself is left as it is, for requests without a BrushNet.

    Args:
        unet: UNet2DConditionModel of 4 channels, or a view of one.
        network: made for that UNet, see `guide_fit.misfit`.
        weight: of what the BrushNet adds; with 0 the UNet does what it would do alone.
    """

    conditioning: Tensor | None = None
    """(B, 5, h, w), see `BrushNet.forward`; must be set before the first step. B is that of the
    samples: 2 with classifier-free guidance."""
    prompt: Tensor | None = None
    """(B, tokens, width) for the BrushNet; None for what the UNet gets."""

    def __init__(self, unet: nn.Module, network: BrushNet, weight: float) -> None:
        super().__init__()
        self.view = share(unet)
        self.network = network
        self._weight = weight

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        encoder_hidden_states: Tensor,
        added_cond_kwargs: dict[str, Tensor] | None = None,
        **options: Any,
    ) -> Any:
        """What the UNet's forward returns, of the same arguments."""
        if self.conditioning is None:
            raise ValueError("`conditioning` is not set")
        prompt = encoder_hidden_states if self.prompt is None else self.prompt
        residuals = self.network(sample, timestep, self.conditioning, prompt, added_cond_kwargs)
        with adding(residuals.scaled(self._weight), self.view):
            return self.view(
                sample,
                timestep,
                encoder_hidden_states=encoder_hidden_states,
                added_cond_kwargs=added_cond_kwargs,
                **options,
            )

    # What diffusers' pipelines read from their UNet.

    @property
    def config(self) -> Any:
        return self.view.config

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.view.dtype
        return dtype

    @property
    def device(self) -> torch.device:
        device: torch.device = self.view.device
        return device

    @property
    def add_embedding(self) -> nn.Module:
        module: nn.Module = self.view.add_embedding
        return module


@contextmanager
def adding(residuals: Residuals, unet: Any) -> Iterator[None]:
    """Let `unet` add `residuals` to its states, meanwhile.

    The state after the first convolution is added to on its way into the first block only: the
    last block's skip connection brings it as it was. All others take theirs along into the skip
    connections. So it is in IOPaint 1.6's UNet, and was in training.
    """
    first, *others = residuals.down
    places = chain(_places(unet.down_blocks), [unet.mid_block], _places(unet.up_blocks))
    added = chain(others, [residuals.mid], residuals.up)
    with ExitStack() as stack:
        stack.callback(_add_before(unet.down_blocks[0], first).remove)
        for module, tensor in zip(places, added, strict=True):
            stack.callback(_add_after(module, tensor).remove)
        yield


def _places(blocks: nn.ModuleList) -> Iterator[nn.Module]:
    """The modules with whose answers each layer and each resampler of `blocks` ends."""
    for block in blocks:
        for resnet, attention in layers(block):
            yield resnet if attention is None else attention
        yield from resamplers(block)


def _add_before(block: nn.Module, residual: Tensor) -> RemovableHandle:
    def hook(_: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return args, options | {"hidden_states": options["hidden_states"] + residual}

    return block.register_forward_pre_hook(hook, with_kwargs=True)


def _add_after(module: nn.Module, residual: Tensor) -> RemovableHandle:
    def hook(_: nn.Module, __: Any, answer: Any) -> Any:
        if isinstance(answer, tuple):  # of an attention
            return (answer[0] + residual, *answer[1:])
        return answer + residual

    return module.register_forward_hook(hook)
