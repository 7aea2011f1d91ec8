"""Operators and layers of StyleGAN2 (Karras et al., 2020) that mat and fcf share, in plain PyTorch.

Written from the paper: equalised learning rates (weights are stored with unit variance and scaled
when used), filtered resampling (a low-pass filter goes with every change of size), and modulated
convolution (a style scales the input channels of a kernel, which is then normalised).

Two liberties keep large feature maps from being read and written more often than needed: biases
travel inside the convolutions, and the gain of an activation inside weights and biases, since
lrelu(g * x) = g * lrelu(x) for every g > 0.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["linear", "lrelu"]

ACTIVATION_GAINS: dict[Activation, float] = {"linear": 1.0, "lrelu": math.sqrt(2)}
"""Factor behind each activation, which keeps the variance of its input."""

LRELU_SLOPE = 0.2

TAPS = (1.0, 3.0, 3.0, 1.0)
"""The binomial low-pass filter that all published networks resample with."""

DEMODULATION_EPS = 1e-8

Padding = tuple[int, int, int, int]
"""Left, right, top, bottom, as in torch.nn.functional.pad; a negative number crops."""


def channels_last(x: Tensor) -> Tensor:
    """(N, C, H, W) in the memory order in which these operators are fastest; copied if needed.

    On one core with AVX-512, 180 channels at 512x512: 3x3 convolution 745 ms instead of 1034,
    transposed convolution 267 instead of 611, low-pass filter 137 instead of 354.
    """
    return x.contiguous(memory_format=torch.channels_last)


def setup_filter(taps: tuple[float, ...] = TAPS) -> Tensor:
    """The separable 2-D filter of `taps`, (T, T) float32 with sum 1."""
    line = torch.tensor(taps, dtype=torch.float32)
    square = torch.outer(line, line)
    return square / square.sum()


def activate(x: Tensor, activation: Activation, clamp: float | None = None) -> Tensor:
    """Apply an activation without its gain, and clamp to -clamp..clamp; both in place."""
    if activation == "lrelu":
        nn.functional.leaky_relu_(x, LRELU_SLOPE)
    return x if clamp is None else x.clamp_(-clamp, clamp)


def upfirdn2d(
    x: Tensor,
    kernel: Tensor,
    *,
    up: int = 1,
    down: int = 1,
    padding: Padding = (0, 0, 0, 0),
    gain: float = 1.0,
    bias: Tensor | None = None,
) -> Tensor:
    """Put up - 1 zeros behind each pixel, pad, filter, keep each down-th pixel; each channel alone.

    Args:
        x: (N, C, H, W) float.
        kernel: (K, K), a true convolution kernel: it is flipped before use.
        up: factor of the zero insertion.
        down: step of the final sampling.
        padding: in pixels of the enlarged picture.
        gain: factor on the result.
        bias: (C), added to the result; None is 0.

    Returns:
        (N, C, H', W'), where H' = (H * up + top + bottom - K) // down + 1.
    """
    channels = x.shape[1]
    if up > 1:
        spread = x.new_zeros(*x.shape[:2], x.shape[2] * up, x.shape[3] * up)
        spread[:, :, ::up, ::up] = x
        x = spread
    left, right, top, bottom = padding
    same = (0, 0)
    if left == right >= 0 and top == bottom >= 0:
        same = (top, left)
    else:
        x = nn.functional.pad(x, padding)
    kernels = (kernel.flip(0, 1) * gain).to(x.dtype).expand(channels, 1, *kernel.shape)
    return nn.functional.conv2d(x, kernels, bias, stride=down, padding=same, groups=channels)


def upsample2d(x: Tensor, kernel: Tensor, up: int = 2) -> Tensor:
    """(N, C, H, W) to (N, C, up * H, up * W), low-passed by `kernel`."""
    before, behind = resampling_margins(len(kernel), up=up)
    return upfirdn2d(x, kernel, up=up, padding=(before, behind, before, behind), gain=up**2)


def downsample2d(x: Tensor, kernel: Tensor, down: int = 2) -> Tensor:
    """(N, C, H, W) to (N, C, H / down, W / down), low-passed by `kernel`."""
    before, behind = resampling_margins(len(kernel), down=down)
    return upfirdn2d(x, kernel, down=down, padding=(before, behind, before, behind))


def resampling_margins(taps: int, *, up: int = 1, down: int = 1) -> tuple[int, int]:
    """Pixels before and behind a line, so that filtering it with `taps` taps keeps it centred."""
    if up > 1:
        return (taps + up - 1) // 2, (taps - up) // 2
    if down > 1:
        return (taps - down + 1) // 2, (taps - down) // 2
    return 0, 0


def resampling_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    kernel: Tensor | None = None,
    *,
    up: int = 1,
    down: int = 1,
    flip: bool = False,
) -> Tensor:
    """Convolve, and enlarge or shrink the picture through the low-pass filter on the way.

    Args:
        x: (N, C, H, W) float.
        weight: (O, C, K, K); K is odd. Borders are filled with K // 2 zeros.
        bias: (O) or None.
        kernel: the low-pass filter; needed unless up == down == 1.
        up: factor of the enlargement. Not together with `down`.
        down: divisor of the size.
        flip: rotate the weights by 180 degrees: a convolution instead of torch's correlation.

    Returns:
        (N, O, up * H / down, up * W / down).
    """
    size = weight.shape[-1]
    margin = size // 2
    if flip != (up > 1):  # torch's transposed convolution flips by itself
        weight = weight.flip(2, 3)
    if up == down == 1:
        return nn.functional.conv2d(x, weight, bias, padding=margin)
    if kernel is None or (up > 1 and down > 1):
        raise ValueError("a change of size needs a low-pass filter, and one direction")
    before, behind = (side + margin for side in resampling_margins(len(kernel), up=up, down=down))
    if down > 1:
        x = upfirdn2d(x, kernel, padding=(before, behind, before, behind))
        return nn.functional.conv2d(x, weight, bias, stride=down)

    # A transposed convolution inserts the zeros without computing with them. What it answers has
    # K - 1 pixels of margin before and K - up behind.
    x = nn.functional.conv_transpose2d(x, weight.transpose(0, 1), stride=up)
    before, behind = before - (size - 1), behind - (size - up)
    padding = (before, behind, before, behind)
    return upfirdn2d(x, kernel, padding=padding, gain=up**2, bias=bias)


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    bias: Tensor | None = None,
    kernel: Tensor | None = None,
    *,
    up: int = 1,
    demodulate: bool = True,
    gain: float = 1.0,
    flip: bool = False,
) -> Tensor:
    """resampling_conv2d with weights of its own for each picture (StyleGAN2, section 2.2).

    Args:
        x: (N, C, H, W) float.
        weight: (O, C, K, K), scaled by its equalisation gain already.
        styles: (N, C), one factor for each input channel.
        bias: (O) or None; `gain` does not apply to it.
        kernel: the low-pass filter; needed if up > 1.
        up: factor of the enlargement.
        demodulate: divide each output channel's weights by their length.
        gain: factor on the weights, after demodulation.
        flip: see resampling_conv2d.

    Returns:
        (N, O, up * H, up * W).
    """
    weights = weight * styles[:, None, :, None, None]
    if demodulate:
        squares = weights.square().sum((2, 3, 4), keepdim=True)
        weights = weights * ((squares + DEMODULATION_EPS).rsqrt() * gain)
    elif gain != 1:
        weights = weights * gain
    # One convolution after another: groups would cost channels-last its speed, and so a batch
    # gives each picture what it gets alone.
    pictures = [
        resampling_conv2d(picture, own, bias, kernel, up=up, flip=flip)
        for picture, own in zip(x.split(1), weights, strict=True)
    ]
    return pictures[0] if len(pictures) == 1 else torch.cat(pictures)


def normalized_second_moment(x: Tensor) -> Tensor:
    """(N, C) scaled so that the mean square over C is 1."""
    return x * (x.square().mean(1, keepdim=True) + torch.finfo(x.dtype).eps).rsqrt()


class FullyConnected(nn.Module):
    """A linear layer with equalised learning rate and an activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: Activation = "linear",
        *,
        bias_init: float = 0.0,
        learning_rate: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / learning_rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias_init))
        self.activation: Activation = activation
        self.bias_gain = learning_rate * ACTIVATION_GAINS[activation]
        self.weight_gain = self.bias_gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        bias = self.bias if self.bias_gain == 1 else self.bias * self.bias_gain
        return activate(
            nn.functional.linear(x, self.weight * self.weight_gain, bias), self.activation
        )


class Conv2dLayer(nn.Module):
    """A convolution with equalised learning rate, low-passed halving or doubling, an activation."""

    resample_filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        activation: Activation = "linear",
        *,
        up: int = 1,
        down: int = 1,
        bias: bool = True,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.register_buffer("resample_filter", setup_filter())
        self.activation: Activation = activation
        self.up = up
        self.down = down
        self.clamp = clamp
        self.weight_gain = 1 / math.sqrt(inputs * size**2)

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H * up / down, W * up / down), scaled by `gain`."""
        scale = ACTIVATION_GAINS[self.activation] * gain
        x = resampling_conv2d(
            x,
            self.weight * (self.weight_gain * scale),
            self.bias if self.bias is None or scale == 1 else self.bias * scale,
            self.resample_filter,
            up=self.up,
            down=self.down,
        )
        return activate(x, self.activation, self.clamp and self.clamp * gain)


class MappingNetwork(nn.Module):
    """z to w: eight fully connected layers that learn at a hundredth of the usual rate.

    `w_avg`, the mean of w over training, is what truncation pulls towards.
    """

    w_avg: Tensor

    LAYERS = 8
    LEARNING_RATE = 0.01

    def __init__(self, z_width: int, w_width: int) -> None:
        super().__init__()
        for index in range(self.LAYERS):
            layer = FullyConnected(
                w_width if index else z_width, w_width, "lrelu", learning_rate=self.LEARNING_RATE
            )
            self.add_module(f"fc{index}", layer)
        self.register_buffer("w_avg", torch.zeros(w_width))

    def forward(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        """(N, z_width) to (N, w_width); a `truncation` below 1 moves w towards its mean."""
        w = normalized_second_moment(z)
        for index in range(self.LAYERS):
            w = self.get_submodule(f"fc{index}")(w)
        return w if truncation == 1 else self.w_avg.lerp(w, truncation)
