"""StyleGAN2's operators against their definitions, computed by scipy in double precision."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import signal  # type: ignore[import-untyped]

from deployments.models import stylegan_ops as ops
from deployments.models.stylegan_ops import Conv2dLayer, FullyConnected, MappingNetwork

Plane = NDArray[Any]

NEAR = 1e-5
"""Share by which float32 may differ from double precision here."""


@pytest.fixture
def noise():
    """Draws normal tensors of a shape; equal tests, equal numbers."""
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(shape, generator=generator)


def assert_near(given: torch.Tensor, expected: Plane) -> None:
    assert tuple(given.shape) == expected.shape
    np.testing.assert_allclose(given.numpy(), expected, rtol=NEAR, atol=NEAR * abs(expected).max())


def with_zeros(plane: Plane, up: int) -> Plane:
    """A plane with up - 1 zeros behind each pixel."""
    spread = np.zeros((plane.shape[0] * up, plane.shape[1] * up))
    spread[::up, ::up] = plane
    return spread


def padded(plane: Plane, padding: ops.Padding) -> Plane:
    """Zeros around a plane; negative numbers crop."""
    left, right, top, bottom = padding
    plane = np.pad(plane, ((max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0))))
    height, width = plane.shape
    return plane[max(-top, 0) : height - max(-bottom, 0), max(-left, 0) : width - max(-right, 0)]


def lrelu(x: Plane) -> Plane:
    return np.where(x > 0, x, 0.2 * x)


def test_filter_is_binomial_and_keeps_brightness():
    taps = ops.setup_filter()
    assert_near(taps, np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64)
    assert taps.sum() == 1


@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (2, 2, 1, 1), (1, 2, 0, 3), (-1, 2, 3, -2)])
@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2), (3, 2)])
def test_upfirdn2d_inserts_zeros_pads_convolves_and_samples(noise, up, down, padding):
    x, kernel, bias = noise(2, 3, 7, 9), noise(4, 4), noise(3)
    given = ops.upfirdn2d(x, kernel, up=up, down=down, padding=padding, gain=1.5, bias=bias)
    expected = [
        [
            1.5
            * signal.convolve2d(padded(with_zeros(plane, up), padding), kernel, "valid")[
                ::down, ::down
            ]
            + level
            for plane, level in zip(picture.numpy().astype(float), bias.tolist(), strict=True)
        ]
        for picture in x
    ]
    assert_near(given, np.array(expected))


def test_resampling_a_plane_agrees_with_scipys_upfirdn_along_each_axis(noise):
    x, taps = noise(1, 2, 8, 12), np.array([1, 3, 3, 1]) / 8
    plane = x[0].numpy().astype(float)
    larger = plane
    for axis in (1, 2):
        # 4 taps, centred: each new pixel lies a quarter of a pixel off an old one.
        larger = signal.upfirdn(2 * taps, larger, up=2, axis=axis)
        larger = np.take(larger, np.arange(1, 1 + 2 * plane.shape[axis]), axis=axis)
    assert_near(ops.upsample2d(x, ops.setup_filter())[0], larger)
    smaller = plane
    for axis in (1, 2):
        smaller = signal.upfirdn(taps, smaller, down=1, axis=axis)
        smaller = np.take(smaller, np.arange(2, 2 + plane.shape[axis], 2), axis=axis)
    assert_near(ops.downsample2d(x, ops.setup_filter())[0], smaller)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2)])
def test_convolution_with_resampling_is_both_steps_on_an_endless_plane(
    noise, up, down, size, flip, memory
):
    x, weight, bias = (
        noise(2, 3, 8, 10).contiguous(memory_format=memory),
        noise(4, 3, size, size),
        noise(4),
    )
    kernel = noise(4, 4)  # has no symmetry, so that a wrong direction shows
    given = ops.resampling_conv2d(x, weight, bias, kernel, up=up, down=down, flip=flip)

    low_pass = np.ones((1, 1)) if up == down == 1 else kernel.numpy().astype(float) * up**2
    first = size // 2  # of the result in the full convolution, which begins size - 1 earlier
    if up > 1 or down > 1:
        first += (4 - up) // 2 if up > 1 else (4 - 1) - (4 - down + 1) // 2
    height, width = 8 * up, 10 * up
    expected = np.zeros((2, 4, height // down, width // down))
    for n, o in np.ndindex(2, 4):
        total = bias[o].item()
        for c in range(3):
            turned = weight[o, c].numpy() if flip else weight[o, c].numpy()[::-1, ::-1]
            whole = signal.convolve2d(with_zeros(x[n, c].numpy().astype(float), up), turned)
            whole = signal.convolve2d(whole, low_pass)
            total = total + whole[first : first + height, first : first + width]
        expected[n, o] = total[::down, ::down]
    assert_near(given, expected)


def test_change_of_size_without_filter_or_in_both_directions_is_refused(noise):
    x, weight = noise(1, 3, 8, 8), noise(3, 3, 3, 3)
    with pytest.raises(ValueError, match="low-pass filter"):
        ops.resampling_conv2d(x, weight, up=2)
    with pytest.raises(ValueError, match="one direction"):
        ops.resampling_conv2d(x, weight, None, ops.setup_filter(), up=2, down=2)


@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_convolution_has_weights_of_its_own_for_each_picture(noise, demodulate, up):
    x, weight, styles, bias = noise(3, 5, 8, 6), noise(4, 5, 3, 3), noise(3, 5), noise(4)
    kernel = ops.setup_filter()
    given = ops.modulated_conv2d(
        x, weight, styles, bias, kernel, up=up, demodulate=demodulate, gain=1.5
    )
    for n in range(3):
        own = weight.clone()
        for o in range(4):
            for c in range(5):
                own[o, c] *= styles[n, c]
            if demodulate:
                own[o] /= math.sqrt(sum(v**2 for v in own[o].flatten().tolist()) + 1e-8)
        expected = ops.resampling_conv2d(x[n : n + 1], 1.5 * own, bias, kernel, up=up)
        assert_near(given[n : n + 1], expected.numpy())


def test_picture_of_a_batch_is_convolved_as_it_is_alone(noise):
    x, weight, styles = noise(3, 5, 8, 6), noise(4, 5, 3, 3), noise(3, 5)
    together = ops.modulated_conv2d(x, weight, styles)
    for n in range(3):
        alone = ops.modulated_conv2d(x[n : n + 1], weight, styles[n : n + 1])
        assert torch.equal(together[n], alone[0])


def test_channels_last_survives_the_operators(noise):
    x = ops.channels_last(noise(1, 8, 8, 8))
    kernel, weight = ops.setup_filter(), noise(8, 8, 3, 3)
    answers = [
        ops.resampling_conv2d(x, weight, None, kernel),
        ops.resampling_conv2d(x, weight, None, kernel, up=2),
        ops.resampling_conv2d(x, weight, None, kernel, down=2),
        ops.modulated_conv2d(x, weight, noise(1, 8), None, kernel, up=2),
    ]
    assert all(y.is_contiguous(memory_format=torch.channels_last) for y in answers)


def test_activation_is_in_place_and_clamps(noise):
    x = noise(2, 3, 4, 4)
    before = x.numpy().copy()
    assert ops.activate(x, "lrelu", 0.5) is x
    assert_near(x, np.clip(lrelu(before), -0.5, 0.5))
    assert_near(ops.activate(torch.from_numpy(before.copy()), "linear"), before)


@pytest.mark.parametrize("activation", ["linear", "lrelu"])
@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_fully_connected_scales_when_used(noise, activation, rate):
    layer = FullyConnected(6, 4, activation, learning_rate=rate).requires_grad_(False)
    layer.bias.copy_(noise(4))
    x = noise(2, 5, 6)
    weight, bias = layer.weight.numpy() * rate / math.sqrt(6), layer.bias.numpy() * rate
    expected = x.numpy() @ weight.T + bias
    if activation == "lrelu":
        expected = lrelu(expected) * math.sqrt(2)
    assert_near(layer(x), expected)


def test_fully_connected_starts_with_the_bias_it_is_given():
    layer = FullyConnected(3, 2, bias_init=1.0)
    assert layer.bias.tolist() == [1, 1]


@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_convolution_layer_scales_activates_and_clamps(noise, up, down, has_bias):
    layer = Conv2dLayer(3, 4, 3, "lrelu", up=up, down=down, bias=has_bias, clamp=0.9)
    layer.requires_grad_(False)
    if layer.bias is not None:
        layer.bias.copy_(noise(4))
    x = 5 * noise(2, 3, 8, 8)  # whatever the random weights, some answers are large
    plain = ops.resampling_conv2d(
        x, layer.weight / math.sqrt(27), layer.bias, ops.setup_filter(), up=up, down=down
    )
    expected = np.clip(lrelu(plain.numpy()) * math.sqrt(2) * 0.7, -0.9 * 0.7, 0.9 * 0.7)
    assert_near(layer(x, gain=0.7), expected)
    assert (abs(expected) == 0.9 * 0.7).any()  # the clamp is reached


def test_mapping_is_layers_on_a_normalised_z_and_truncation_moves_to_the_mean(noise):
    mapping = MappingNetwork(5, 6).requires_grad_(False)
    mapping.w_avg.copy_(noise(6))
    z = noise(2, 5)
    w = z.numpy() / np.sqrt((z.numpy() ** 2).mean(1, keepdims=True))
    for index in range(8):
        layer = mapping.get_submodule(f"fc{index}")
        assert isinstance(layer, FullyConnected)
        w = layer(torch.from_numpy(w)).numpy()
    assert_near(mapping(z), w)
    mean = mapping.w_avg.numpy()
    assert_near(mapping(z, 0.25), mean + 0.25 * (w - mean))
