"""BrushNet: a second UNet that reads the known part of a picture and guides the first one.

Ju et al. 2024, "BrushNet: A Plug-and-Play Image Inpainting Model with Decomposed Dual-Branch
Diffusion". The layers are those of diffusers; names and shapes of the tensors are those of the
checkpoints that the authors and others have published (`BrushNetModel` in their config.json).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, Self

import torch
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.unets.unet_2d_blocks import (
    UNetMidBlock2D,
    UNetMidBlock2DCrossAttn,
    get_down_block,
    get_up_block,
)
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

DownKind = Literal["DownBlock2D", "CrossAttnDownBlock2D"]
UpKind = Literal["UpBlock2D", "CrossAttnUpBlock2D"]
MidKind = Literal["MidBlock2D", "UNetMidBlock2DCrossAttn"]
PerLevel = int | tuple[int, ...]


class BrushNetConfig(BaseModel):
    """The config.json of a published checkpoint.

    What no such checkpoint uses has one value here: a file that asks for another is refused, for
    the network would be a different one. Keys that no layer depends on are passed over.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    class_name: Literal["BrushNetModel"] = Field(alias="_class_name")
    in_channels: Literal[4] = 4
    conditioning_channels: Literal[5] = 5
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    down_block_types: tuple[DownKind, ...]
    mid_block_type: MidKind
    up_block_types: tuple[UpKind, ...]
    layers_per_block: int = 2
    transformer_layers_per_block: PerLevel = 1
    attention_head_dim: PerLevel = 8
    """The number of heads, in spite of its name: the files keep an old mistake of diffusers."""
    cross_attention_dim: int = 768
    use_linear_projection: bool = False
    upcast_attention: bool | None = False
    addition_embed_type: Literal["text_time"] | None = None
    """Whether the network reads SDXL's pooled prompt and sizes."""
    addition_time_embed_dim: int | None = None
    projection_class_embeddings_input_dim: int | None = None
    norm_num_groups: int = 32
    norm_eps: float = 1e-5

    act_fn: Literal["silu"] = "silu"
    flip_sin_to_cos: Literal[True] = True
    freq_shift: Literal[0] = 0
    downsample_padding: Literal[1] = 1
    mid_block_scale_factor: Literal[1] = 1
    only_cross_attention: Literal[False] = False
    resnet_time_scale_shift: Literal["default"] = "default"
    num_attention_heads: None = None
    class_embed_type: None = None
    num_class_embeds: None = None
    encoder_hid_dim: None = None
    encoder_hid_dim_type: None = None
    brushnet_conditioning_channel_order: Literal["rgb"] = "rgb"
    global_pool_conditions: Literal[False] = False

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        levels = len(self.block_out_channels)
        lengths = {len(self.down_block_types), len(self.up_block_types)}
        lengths |= {len(self.depths()), len(self.heads())}
        if not levels or lengths != {levels}:
            raise ValueError(f"not all of its lists have {levels} entries")
        return self

    @model_validator(mode="after")
    def _embedding_has_sizes(self) -> Self:
        sizes = (self.addition_time_embed_dim, self.projection_class_embeddings_input_dim)
        if self.addition_embed_type and None in sizes:
            raise ValueError("the added embedding has no sizes")
        return self

    def depths(self) -> tuple[int, ...]:
        """Transformer layers of each level."""
        return self._each(self.transformer_layers_per_block)

    def heads(self) -> tuple[int, ...]:
        """Attention heads of each level."""
        return self._each(self.attention_head_dim)

    def _each(self, value: PerLevel) -> tuple[int, ...]:
        return value if isinstance(value, tuple) else (value,) * len(self.block_out_channels)


@dataclass(frozen=True, slots=True)
class Residuals:
    """What is added inside the guided UNet. Shapes are those of its own states at these places."""

    down: tuple[Tensor, ...]
    """After the first convolution, each layer and each downsampler."""
    mid: Tensor
    up: tuple[Tensor, ...]
    """After each layer and each upsampler."""

    def scaled(self, weight: float) -> "Residuals":
        return Residuals(
            tuple(tensor * weight for tensor in self.down),
            self.mid * weight,
            tuple(tensor * weight for tensor in self.up),
        )


class BrushNet(nn.Module):
    """Random weights, but for the output convolutions, which begin at zero: it guides nothing yet.

    With blocks without attention (the published BrushNets) the prompt is not read; PowerPaint v2
    has the cross attention of the UNet.
    """

    def __init__(self, config: BrushNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.block_out_channels
        self.conv_in_condition = nn.Conv2d(
            config.in_channels + config.conditioning_channels, widths[0], 3, padding=1
        )
        self.time_proj = _sinusoids(config, widths[0])
        self.time_embedding = TimestepEmbedding(widths[0], 4 * widths[0], act_fn=config.act_fn)
        if config.addition_embed_type:
            self.add_time_proj = _sinusoids(config, config.addition_time_embed_dim)
            self.add_embedding = TimestepEmbedding(
                config.projection_class_embeddings_input_dim, 4 * widths[0]
            )
        self.down_blocks = nn.ModuleList(_down_blocks(config))
        self.mid_block = _mid_block(config)
        self.up_blocks = nn.ModuleList(_up_blocks(config))
        per_down, last = config.layers_per_block, len(widths) - 1
        self.brushnet_down_blocks = nn.ModuleList(
            _zero_convolution(width)
            for width in chain(
                widths[:1],
                *([width] * (per_down + (level < last)) for level, width in enumerate(widths)),
            )
        )
        self.brushnet_mid_block = _zero_convolution(widths[-1])
        self.brushnet_up_blocks = nn.ModuleList(
            _zero_convolution(width)
            for level, width in enumerate(reversed(widths))
            for _ in range(per_down + 1 + (level < last))
        )

    @property
    def dtype(self) -> torch.dtype:
        return self.conv_in_condition.weight.dtype

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        conditioning: Tensor,
        prompt: Tensor | None = None,
        added: dict[str, Tensor] | None = None,
    ) -> Residuals:
        """What to add inside the UNet in the same step.

        Args:
            sample: (B, 4, h, w) noisy latents, scaled as the UNet gets them.
            timestep: one for all, or (B,).
            conditioning: (B, 5, h, w): latents of the known picture, and its mask, 1 where known.
            prompt: (B, tokens, width); only networks with attention read it.
            added: SDXL's `text_embeds` (B, width) and `time_ids` (B, 6), for networks with
                `addition_embed_type`.
        """
        moment = self._moment(sample, timestep, added)
        state = self.conv_in_condition(torch.cat([sample, conditioning], dim=1))
        skips = [state]
        for block in self.down_blocks:
            for layer in layers(block):
                state = _run(layer, state, moment, prompt)
                skips.append(state)
            for resampler in resamplers(block):
                state = resampler(state)
                skips.append(state)
        down = _convolve(self.brushnet_down_blocks, skips)
        if getattr(self.mid_block, "has_cross_attention", False):
            state = self.mid_block(state, moment, encoder_hidden_states=prompt)
        else:
            state = self.mid_block(state, moment)
        middle = self.brushnet_mid_block(state)
        ups: list[Tensor] = []
        for block in self.up_blocks:
            for layer in layers(block):
                state = _run(layer, torch.cat([state, skips.pop()], dim=1), moment, prompt)
                ups.append(state)
            for resampler in resamplers(block):
                state = resampler(state, skips[-1].shape[2:])
                ups.append(state)
        return Residuals(down, middle, _convolve(self.brushnet_up_blocks, ups))

    def _moment(
        self, sample: Tensor, timestep: Tensor | float, added: dict[str, Tensor] | None
    ) -> Tensor:
        """(B, 4 * width) of the time and what is added to it."""
        times = torch.as_tensor(timestep, device=sample.device).expand(len(sample))
        moment: Tensor = self.time_embedding(self.time_proj(times).to(sample.dtype))
        if not self.config.addition_embed_type:
            return moment
        if added is None:
            raise ValueError("this network needs `added`")
        text, sizes = added["text_embeds"], added["time_ids"]
        numbers = self.add_time_proj(sizes.flatten()).reshape(len(text), -1)
        embedded: Tensor = self.add_embedding(torch.cat([text, numbers], -1).to(moment.dtype))
        return moment + embedded


Layer = tuple[nn.Module, nn.Module | None]


def layers(block: Any) -> Iterator[Layer]:
    """Of a UNet's block: each residual layer, with its attention where it has one."""
    attentions = getattr(block, "attentions", None) or [None] * len(block.resnets)
    yield from zip(block.resnets, attentions, strict=True)


def resamplers(block: Any) -> Iterator[nn.Module]:
    """The downsampler or upsampler of a UNet's block; the last block of either side has none."""
    for name in ("downsamplers", "upsamplers"):
        yield from getattr(block, name, None) or ()


def _run(layer: Layer, state: Tensor, moment: Tensor, prompt: Tensor | None) -> Tensor:
    resnet, attention = layer
    answer: Tensor = resnet(state, moment)
    if attention is not None:
        [answer] = attention(answer, encoder_hidden_states=prompt, return_dict=False)
    return answer


def _convolve(convolutions: nn.ModuleList, states: list[Tensor]) -> tuple[Tensor, ...]:
    return tuple(
        convolution(state) for convolution, state in zip(convolutions, states, strict=True)
    )


def _zero_convolution(width: int) -> nn.Conv2d:
    convolution = nn.Conv2d(width, width, kernel_size=1)
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter)
    return convolution


def _sinusoids(config: BrushNetConfig, width: int | None) -> Timesteps:
    return Timesteps(width, config.flip_sin_to_cos, config.freq_shift)


def _common(config: BrushNetConfig) -> dict[str, Any]:
    """Arguments that every block takes."""
    return {
        "temb_channels": 4 * config.block_out_channels[0],
        "resnet_eps": config.norm_eps,
        "resnet_act_fn": config.act_fn,
        "resnet_groups": config.norm_num_groups,
    }


def _attention(config: BrushNetConfig, level: int) -> dict[str, Any]:
    """Arguments of blocks that may have attention."""
    return {
        "cross_attention_dim": config.cross_attention_dim,
        "transformer_layers_per_block": config.depths()[level],
        "num_attention_heads": config.heads()[level],
        "use_linear_projection": config.use_linear_projection,
        "upcast_attention": bool(config.upcast_attention),
    }


def _down_blocks(config: BrushNetConfig) -> Iterator[nn.Module]:
    widths = config.block_out_channels
    before = (widths[0], *widths)
    for level, (kind, width) in enumerate(zip(config.down_block_types, widths, strict=True)):
        yield get_down_block(
            kind,
            num_layers=config.layers_per_block,
            in_channels=before[level],
            out_channels=width,
            add_downsample=level < len(widths) - 1,
            downsample_padding=config.downsample_padding,
            attention_head_dim=config.heads()[level],
            **_common(config),
            **_attention(config, level),
        )


def _mid_block(config: BrushNetConfig) -> nn.Module:
    common = _common(config) | {"in_channels": config.block_out_channels[-1]}
    if config.mid_block_type == "UNetMidBlock2DCrossAttn":
        return UNetMidBlock2DCrossAttn(**common, **_attention(config, -1))
    return UNetMidBlock2D(**common, num_layers=1, add_attention=False)


def _up_blocks(config: BrushNetConfig) -> Iterator[nn.Module]:
    widths = config.block_out_channels
    last = len(widths) - 1
    before = (*widths, widths[-1])
    for kind, level in zip(config.up_block_types, range(last, -1, -1), strict=True):
        yield get_up_block(
            kind,
            num_layers=config.layers_per_block + 1,
            in_channels=widths[max(level - 1, 0)],
            out_channels=widths[level],
            prev_output_channel=before[level + 1],
            add_upsample=level > 0,
            resolution_idx=last - level,
            attention_head_dim=config.heads()[level],
            **_common(config),
            **_attention(config, level),
        )
