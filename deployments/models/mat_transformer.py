"""mat's transformer: attention inside windows, in which only valid tokens are attended to.

MAT: Mask-Aware Transformer for Large Hole Image Inpainting (Li et al., CVPR 2022), sections 3.2
and 3.3. A token is valid where the picture is known, and becomes so when its window, or the
convolution's reach, holds a valid one: so the known part grows into the hole from step to step.
Every other block shifts its windows by half a window (Swin Transformer, Liu et al., ICCV 2021).

Tokens are (N, H * W, C); their validity is (N, H * W, 1), 1 or 0. Attribute names are those of the
published checkpoint.
"""

import torch
from torch import Tensor, nn

from deployments.models.stylegan_ops import Conv2dLayer, FullyConnected
from inpaint.arrays import Size

HEADS = 6

MLP_RATIO = 2
"""Hidden features of a block's last two layers, per feature."""

BLOCKED = -100.0
"""Added to the attention of a pair that shall not be seen; exp(-100) is nothing in float32."""


def to_tokens(features: Tensor) -> Tensor:
    """(N, C, H, W) to (N, H * W, C); a view of channels-last features."""
    return features.flatten(2).transpose(1, 2)


def to_features(tokens: Tensor, size: Size) -> Tensor:
    """(N, H * W, C) to (N, C, H, W), a view, channels-last if the tokens are contiguous."""
    return tokens.unflatten(1, size).permute(0, 3, 1, 2)


def to_windows(tokens: Tensor, size: Size, window: int) -> Tensor:
    """(N, H * W, C) to (N * windows, window * window, C), row by row; `window` divides `size`."""
    rows, columns = size[0] // window, size[1] // window
    grid = tokens.unflatten(1, (rows, window, columns, window))
    return grid.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def from_windows(windows: Tensor, size: Size, window: int) -> Tensor:
    """The inverse of to_windows."""
    rows, columns = size[0] // window, size[1] // window
    grid = windows.unflatten(1, (window, window)).unflatten(0, (-1, rows, columns))
    return grid.transpose(2, 3).flatten(1, 4)


def shift(tokens: Tensor, size: Size, by: int) -> Tensor:
    """Roll (N, H * W, C) tokens by `by` rows and columns."""
    if by == 0:
        return tokens
    return tokens.unflatten(1, size).roll((by, by), (1, 2)).flatten(1, 2)


def shift_mask(size: Size, window: int, by: int) -> Tensor:
    """Which tokens of a window were neighbours before shifting by `by`: 0 if so, else BLOCKED.

    Returns (windows, window * window, window * window) float32.
    """
    rows, columns = (
        (torch.arange(side)[:, None] >= torch.tensor((side - window, side - by))).sum(1)
        for side in size
    )
    regions = (3 * rows[:, None] + columns).flatten()[None, :, None]
    region = to_windows(regions, size, window)
    return torch.where(region == region.transpose(1, 2), 0.0, BLOCKED)


class PartialConv(nn.Module):
    """A convolution that makes up for the unknown pixels under it, and spreads validity."""

    def __init__(
        self, inputs: int, outputs: int, size: int = 3, *, up: int = 1, down: int = 1
    ) -> None:
        super().__init__()
        self.conv = Conv2dLayer(inputs, outputs, size, "lrelu", up=up, down=down)
        self.size = size

    def forward(self, x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Convolve, and divide by the share of valid pixels; 0 where there are none.

        Args:
            x: (N, inputs, H, W).
            valid: (N, 1, H, W) of 0 and 1; None leaves the convolution as it is.

        Returns:
            (N, outputs, H', W'), and which of its pixels saw a valid one.
        """
        x = self.conv(x)
        if valid is None:
            return x, None
        seen = nn.functional.conv2d(
            valid,
            valid.new_ones(1, 1, self.size, self.size),
            stride=self.conv.down,
            padding=self.size // 2,
        )
        valid = seen.clamp(0, 1)
        # At most size * size are seen, so the quotient is finite wherever it is kept.
        share = self.size**2 / seen.clamp(min=1) * valid
        return x.mul_(share), valid


class WindowAttention(nn.Module):
    """Multi-head attention among the tokens of each window."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.q = FullyConnected(width, width)
        self.k = FullyConnected(width, width)
        self.v = FullyConnected(width, width)
        self.proj = FullyConnected(width, width)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Mix the tokens of each window.

        Args:
            x: (B, T, C), T tokens in each of B windows.
            bias: added to the attention, broadcastable to (B, 1, T, T); None is 0.

        Returns:
            (B, T, C).
        """
        # In place of a layer norm, which the paper leaves out (section 3.3).
        unit = nn.functional.normalize(x, dim=-1, eps=torch.finfo(x.dtype).eps)
        q, k, v = (
            part.unflatten(2, (HEADS, -1)).transpose(1, 2)
            for part in (self.q(unit), self.k(unit), self.v(x))
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two layers on each token alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = FullyConnected(width, MLP_RATIO * width, "lrelu")
        self.fc2 = FullyConnected(MLP_RATIO * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, C) to the same."""
        return self.fc2(self.fc1(x))


class TransformerBlock(nn.Module):
    """Attention in windows, fused with its own input by concatenation instead of by addition.

    Args:
        width: features of a token.
        side: rows and columns of tokens in training, for which the checkpoint holds a mask.
        window: rows and columns of a window; at most `side`.
        by: shift of the windows, 0 for none.
    """

    attn_mask: Tensor

    def __init__(self, width: int, side: int, window: int, by: int) -> None:
        super().__init__()
        self.attn = WindowAttention(width)
        self.fuse = FullyConnected(2 * width, width, "lrelu")
        self.mlp = Mlp(width)
        self.side, self.window, self.by = side, window, by
        if by:
            self.register_buffer("attn_mask", shift_mask((side, side), window, by))

    def forward(self, x: Tensor, size: Size, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(N, H * W, C) tokens and their validity, None if all are valid; to the same of both."""
        windows = to_windows(shift(x, size, -self.by), size, self.window)
        bias = None
        if self.by:
            bias = self._shift_bias(size, x).repeat(len(x), 1, 1)[:, None]
        if valid is not None:
            known = to_windows(shift(valid, size, -self.by), size, self.window)
            unseen = torch.where(known == 0, BLOCKED, 0.0).to(x.dtype).transpose(1, 2)[:, None]
            bias = unseen if bias is None else bias + unseen
            known = known.amax(1, keepdim=True).expand_as(known)
            valid = shift(from_windows(known, size, self.window), size, self.by)
        mixed = from_windows(self.attn(windows, bias), size, self.window)
        mixed = shift(mixed, size, self.by)
        return self.mlp(self.fuse(torch.cat((x, mixed), dim=-1))), valid

    def _shift_bias(self, size: Size, like: Tensor) -> Tensor:
        """The mask for tokens of any size; computed unless it is the trained one."""
        if size == (self.side, self.side):
            return self.attn_mask
        return shift_mask(size, self.window, self.by).to(like)


class Resampling(nn.Module):
    """Halves or doubles the picture of tokens."""

    def __init__(self, width: int, *, up: int = 1, down: int = 1) -> None:
        super().__init__()
        self.conv = PartialConv(width, width, up=up, down=down)


class TransformerStage(nn.Module):
    """Blocks at one size, and a convolution behind them with a skip around all.

    Args:
        width: features of a token.
        side: rows and columns of tokens in training.
        depth: blocks; every second one shifts its windows.
        window: rows and columns of a window.
        up: factor by which the tokens' rows and columns grow before the first block.
        down: divisor, likewise.
    """

    def __init__(
        self, width: int, side: int, depth: int, window: int, *, up: int = 1, down: int = 1
    ) -> None:
        super().__init__()
        self.downsample = None if up == down else Resampling(width, up=up, down=down)
        # A window that holds all tokens of the trained size needs no shift.
        by = window // 2 if window < side else 0
        self.blocks = nn.ModuleList(
            TransformerBlock(width, side, window, by if index % 2 else 0) for index in range(depth)
        )
        self.conv = PartialConv(width, width)

    def forward(self, x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(N, C, H, W) features and (N, 1, H, W) validity; to both at `up / down` of the size."""
        if self.downsample is not None:
            x, valid = self.downsample.conv(x, valid)
        size = x.shape[-2], x.shape[-1]
        tokens = to_tokens(x)
        known = None if valid is None else to_tokens(valid)
        for block in self.blocks:
            tokens, known = block(tokens, size, known)
        valid = None if known is None else to_features(known, size)
        y, valid = self.conv(to_features(tokens, size), valid)
        return y.add_(x), valid
