"""PP-OCRv3's recogniser of lines, without its last layer: what it sees, not what it reads.

MobileNetV1Enhance with a light SVTR neck, by "PP-OCRv3: More Attempts for the Improvement of
Ultra Lightweight OCR System" (Li et al. 2022, arXiv 2206.03001) and PaddleOCR's code.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from deployments.models.checkpoints import StateDict

HEIGHT, WIDTH = 48, 320
"""Of the picture that it reads."""
COLUMNS = WIDTH // 8
"""Of its answer."""

NECK_SHARE = 8
"""The neck's inner layers have an eighth of the channels."""
HEADS = 8
NECK_BLOCKS = 2


@dataclass(frozen=True, slots=True)
class RecogniserWidths:
    """Channels. The defaults are the published network's."""

    first: int = 16
    mixing: int = 120
    features: int = 64

    @classmethod
    def of(cls, state: StateDict) -> Self:
        """As the tensors below `recogniser.` have it; KeyError if they are not there."""

        def channels(layer: str) -> int:
            return state[f"recogniser.{layer}.conv.weight"].shape[0]

        return cls(
            first=channels("backbone.conv1"),
            mixing=channels("neck.encoder.conv2"),
            features=channels("neck.encoder.conv1x1"),
        )


@dataclass(frozen=True, slots=True)
class _Stage:
    """One separable convolution. Channels are multiples of the first layer's."""

    given: int
    wanted: int
    stride: tuple[int, int] = (1, 1)
    kernel: int = 3
    has_gate: bool = False


_DOWN, _ACROSS = (2, 1), (1, 2)
_STAGES = (
    *(_Stage(1, 2), _Stage(2, 4), _Stage(4, 4)),
    *(_Stage(4, 8, _DOWN), _Stage(8, 8), _Stage(8, 16, _DOWN)),
    *[_Stage(16, 16, kernel=5)] * 5,
    *(_Stage(16, 32, _DOWN, 5, has_gate=True), _Stage(32, 32, _ACROSS, 5, has_gate=True)),
)
_LAST = 32


class TextRecogniser(nn.Module):
    """(N, 3, 48, 320) in -1..1 to (N, 40, features)."""

    def __init__(self, widths: RecogniserWidths) -> None:
        super().__init__()
        self.backbone = _Backbone(widths.first)
        self.neck = nn.ModuleDict({"encoder": _Neck(_LAST * widths.first, widths)})

    def forward(self, picture: Tensor) -> Tensor:
        features: Tensor = self.neck["encoder"](self.backbone(picture))
        return features.flatten(2).transpose(1, 2)


class _ConvNorm(nn.Module):
    def __init__(
        self,
        given: int,
        wanted: int,
        kernel: int,
        activation: nn.Module,
        stride: tuple[int, int] = (1, 1),
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(given, wanted, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(wanted)
        self._activation = activation

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self._activation(self.norm(self.conv(x)))
        return answer


class _Backbone(nn.Module):
    def __init__(self, first: int) -> None:
        super().__init__()
        self.conv1 = _ConvNorm(3, first, 3, nn.Hardswish(), stride=(2, 2))
        self.block_list = nn.Sequential(*(_Separable(stage, first) for stage in _STAGES))

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(self.block_list(self.conv1(x)), 2)


class _Separable(nn.Module):
    def __init__(self, stage: _Stage, first: int) -> None:
        super().__init__()
        given, wanted = stage.given * first, stage.wanted * first
        self.depthwise_conv = _ConvNorm(
            given, given, stage.kernel, nn.Hardswish(), stage.stride, groups=given
        )
        self.se = _Gate(given) if stage.has_gate else nn.Identity()
        self.pointwise_conv = _ConvNorm(given, wanted, 1, nn.Hardswish())

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.pointwise_conv(self.se(self.depthwise_conv(x)))
        return answer


class _Gate(nn.Module):
    """Weighs each channel by what there is of it in the whole picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels // 4, 1)
        self.conv2 = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True)
        return x * functional.hardsigmoid(self.conv2(functional.relu(self.conv1(mean))))


class _Neck(nn.Module):
    """Lets the columns of a line see each other."""

    def __init__(self, channels: int, widths: RecogniserWidths) -> None:
        super().__init__()
        inner, mixing = channels // NECK_SHARE, widths.mixing
        self.conv1 = _ConvNorm(channels, inner, 3, nn.SiLU())
        self.conv2 = _ConvNorm(inner, mixing, 1, nn.SiLU())
        self.svtr_block = nn.Sequential(*(_Block(mixing) for _ in range(NECK_BLOCKS)))
        self.norm = nn.LayerNorm(mixing, eps=1e-6)
        self.conv3 = _ConvNorm(mixing, channels, 1, nn.SiLU())
        self.conv4 = _ConvNorm(2 * channels, inner, 3, nn.SiLU())
        self.conv1x1 = _ConvNorm(inner, widths.features, 1, nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.conv2(self.conv1(x))
        columns = self.norm(self.svtr_block(reduced.flatten(2).transpose(1, 2)))
        mixed = self.conv3(columns.transpose(1, 2).reshape(reduced.shape))
        answer: Tensor = self.conv1x1(self.conv4(torch.cat([x, mixed], dim=1)))
        return answer


class _Block(nn.Module):
    """A transformer block over (N, columns, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.mixer = _Attention(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 2 * width)})
        self.mlp["fc2"] = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer(self.norm1(x))
        return x + self.mlp["fc2"](functional.silu(self.mlp["fc1"](self.norm2(x))))


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        count, columns, width = x.shape
        packed = self.qkv(x).view(count, columns, 3, HEADS, width // HEADS)
        query, key, value = packed.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        answer: Tensor = self.proj(mixed.transpose(1, 2).reshape(x.shape))
        return answer
