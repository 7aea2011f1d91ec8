"""FcF's network, stage by stage, against the same formulas in NumPy and double precision.

The reference is written from the papers on StyleGAN2 and FcF and on fast Fourier convolutions. It
takes no short cut: zeros are inserted and computed with, filters and kernels are applied one after
the other, gains and biases where the papers have them.
"""

import math

import numpy as np
import pytest
import torch

from deployments.models.fcf_synthesis import RECIPE
from deployments.models.fourier import SpectralTransform, quarters
from tests.standins.fcf import narrow, random_fcf

SIDE = 64

CLOSE = 2e-5
"""Of a stage's largest value: what single precision may lose on the way."""


@pytest.fixture(scope="module")
def network():
    return random_fcf(narrow(SIDE))


@pytest.fixture(scope="module")
def weights(network):
    return {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def scene():
    """(3, H, W) RGB -1..1 and (H, W) mask of 0 and 1."""
    rng = np.random.default_rng(0)
    mask = np.zeros((SIDE, SIDE))
    mask[20:44, 11:50] = 1
    return rng.uniform(-1, 1, (3, SIDE, SIDE)), mask


def correlate(x, kernel, stride=1):
    """(C, H, W) and (O, C, K, K) to (O, H', W'), without padding."""
    size = kernel.shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", windows[:, ::stride, ::stride], kernel, optimize=True)


def padded(x, before, behind, mode="constant"):
    return np.pad(x, ((0, 0), (before, behind), (before, behind)), mode=mode)


def low_pass(x):
    """Each channel alone with the outer product of 1 3 3 1; the sides shrink by 3."""
    line = np.array([1, 3, 3, 1]) / 8
    for axis in (1, 2):
        windows = np.lib.stride_tricks.sliding_window_view(x, 4, axis=axis)
        x = windows @ line
    return x


def spread(x):
    """Zeros between the pixels."""
    out = np.zeros((x.shape[0], 2 * x.shape[1], 2 * x.shape[2]))
    out[:, ::2, ::2] = x
    return out


def enlarged(x):
    """Twice the size, low-passed, as bright as before."""
    return 4 * low_pass(padded(spread(x), 2, 1))


def lrelu(x):
    return np.where(x < 0, 0.2 * x, x) * math.sqrt(2)


def clamped(x):
    return np.clip(x, -256, 256)


def linear(weights, name, x, rate=1.0):
    weight = weights[f"{name}.weight"] * rate / math.sqrt(len(x))
    return weight @ x + weights[f"{name}.bias"] * rate


def conv(weights, name, x, down=1):
    """Equalised convolution, bias, activation, clamp."""
    kernel = weights[f"{name}.weight"]
    kernel = kernel / math.sqrt(kernel[0].size)
    margin = kernel.shape[-1] // 2
    if down == 2:
        x = correlate(low_pass(padded(x, margin + 1, margin + 1)), kernel, 2)
    else:
        x = correlate(padded(x, margin, margin), kernel)
    return clamped(lrelu(x + weights[f"{name}.bias"][:, None, None]))


def modulated(weights, name, x, style, up=1):
    """Modulation, demodulation, convolution, activation. Without bias and noise."""
    kernel = weights[f"{name}.weight"] * linear(weights, f"{name}.affine", style)[:, None, None]
    kernel = kernel / np.sqrt((kernel**2).sum((1, 2, 3), keepdims=True) + 1e-8)
    if up == 2:
        x = 4 * low_pass(padded(spread(x), 3, 2))
        return lrelu(correlate(x, kernel[:, :, ::-1, ::-1]))
    return lrelu(correlate(padded(x, 1, 1), kernel))


def colours(weights, name, x, style):
    styles = linear(weights, f"{name}.affine", style) / math.sqrt(len(x))
    kernel = weights[f"{name}.weight"][:, :, 0, 0] * styles
    return np.einsum("chw,oc->ohw", x, kernel) + weights[f"{name}.bias"][:, None, None]


def spectral_unit(weights, name, x):
    """A 1x1 convolution and ReLU over real and imaginary parts."""
    spectrum = np.fft.rfft2(x, norm="ortho")
    parts = np.stack((spectrum.real, spectrum.imag), axis=1).reshape(-1, *spectrum.shape[1:])
    kernel = weights[f"{name}.conv_layer.weight"][:, :, 0, 0]
    parts = np.maximum(np.einsum("chw,oc->ohw", parts, kernel), 0)
    return np.fft.irfft2(parts[::2] + 1j * parts[1::2], s=x.shape[1:], norm="ortho")


def spectral(weights, name, x):
    """The global path: the whole picture, and its quarters."""
    x = np.einsum("chw,oc->ohw", x, weights[f"{name}.conv1.0.weight"][:, :, 0, 0])
    x = np.maximum(x, 0)
    some, rows, columns = x[: len(x) // 4], x.shape[1] // 2, x.shape[2] // 2
    corners = [some[:, :rows, :columns], some[:, rows:, :columns]]
    corners += [some[:, :rows, columns:], some[:, rows:, columns:]]
    local = spectral_unit(weights, f"{name}.lfu", np.concatenate(corners))
    x = x + spectral_unit(weights, f"{name}.fu", x) + np.tile(local, (1, 2, 2))
    return np.einsum("chw,oc->ohw", x, weights[f"{name}.conv2.weight"][:, :, 0, 0])


def fourier_layer(weights, name, local, wide):
    def path(which, x):
        return correlate(padded(x, 1, 1, "reflect"), weights[f"{name}.{which}.weight"])

    new_local = path("convl2l", local) + path("convg2l", wide)
    new_wide = path("convl2g", local) + spectral(weights, f"{name}.convg2g", wide)
    return np.maximum(new_local, 0), np.maximum(new_wide, 0)


def fourier_skip(weights, name, x):
    """Three skips around two layers."""
    streams = x[: len(x) // 4], x[len(x) // 4 :]
    for layer in ("conv1", "conv2"):
        streams = fourier_layer(weights, f"{name}.ffc_act.ffc_block.{layer}.ffc", *streams)
    return 3 * x + np.concatenate(streams)


def encoded(weights, image, mask):
    """The global vector, and features by size."""
    x = np.concatenate(((0.5 - mask)[None], image * (1 - mask)))
    x = conv(weights, f"encoder.b{SIDE}.fromrgb", x)
    features = {}
    for px in (64, 32, 16, 8):
        features[px] = conv(weights, f"encoder.b{px}.conv0", x)
        x = conv(weights, f"encoder.b{px}.conv1", features[px], down=2)
    deviation = np.full((1, 4, 4), 1e-4)  # of a group of one: sqrt(0 + 1e-8)
    features[4] = conv(weights, "encoder.b4.conv", np.concatenate((x, deviation)))
    return lrelu(linear(weights, "encoder.b4.fc", features[4].ravel())), features


def mapped(weights):
    """w of the zero vector, a tenth of the way from the mean."""
    w = np.zeros(len(weights["mapping.w_avg"]))
    for layer in ("mapping.fc0", "mapping.fc1"):
        w = lrelu(linear(weights, layer, w, rate=0.01))
    return 0.9 * weights["mapping.w_avg"] + 0.1 * w


def painted(weights, code, w, features):
    """The picture at every size."""
    style = np.concatenate((w, code))
    x = lrelu(linear(weights, "synthesis.foreword.fc", code)).reshape(-1, 4, 4) + features[4]
    x = modulated(weights, "synthesis.foreword.conv", x, style)
    pictures = {4: colours(weights, "synthesis.foreword.torgb", x, style)}
    for px in (8, 16, 32, 64):
        name = f"synthesis.b{px}"
        x = clamped(modulated(weights, f"{name}.conv0", x, style, up=2))
        joined = x + features[px]
        if px >= 32:
            joined = x + fourier_skip(weights, f"{name}.ffc_skip.0", joined)
        x = clamped(modulated(weights, f"{name}.conv1", joined, style))
        more = clamped(colours(weights, f"{name}.torgb", x, style))
        pictures[px] = enlarged(pictures[px // 2]) + more
    return pictures


def assert_close(ours, expected):
    ours = ours.double().numpy()
    ours = ours[0] if ours.ndim == expected.ndim + 1 else ours
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=0, atol=CLOSE * np.abs(expected).max())


def test_encoder(network, weights, scene):
    image, mask = scene
    planes = np.concatenate(((0.5 - mask)[None], image * (1 - mask)))
    code, features = network.encoder(torch.from_numpy(planes).float()[None])
    expected_code, expected = encoded(weights, image, mask)
    assert_close(code, expected_code)
    for ours, px in zip(features, sorted(expected), strict=True):
        assert_close(ours, expected[px])


def test_mapping_of_the_zero_vector(network, weights):
    w = network.mapping(torch.zeros(1, len(weights["mapping.w_avg"])), 0.1)
    assert_close(w, mapped(weights))


def test_picture_at_every_size(network, weights, scene):
    image, mask = scene
    seen = {}
    hooks = [
        block.register_forward_hook(
            lambda _block, _given, answer: seen.update({answer[1].shape[-1]: answer[1]})
        )
        for block in network.synthesis.values()
    ]
    given = torch.from_numpy(image).float()[None], torch.from_numpy(mask).float()[None, None]
    answer = network(*given)
    for hook in hooks:
        hook.remove()
    code, features = encoded(weights, image, mask)
    expected = painted(weights, code, mapped(weights), features)
    assert expected[SIDE].std() > 0.1
    assert_close(answer, expected[SIDE])
    for px, picture in expected.items():
        assert_close(seen[px], picture)


def test_values_are_clamped_where_the_network_was_trained_so(network, weights, scene):
    """With the weights enlarged until it matters."""
    image, mask = scene
    large = random_fcf(narrow(SIDE))
    for name in (f"encoder.b{SIDE}.conv0.weight", "encoder.b8.conv0.weight"):
        large.state_dict()[name].mul_(1000)
    for name in ("b32.torgb.bias", "b64.torgb.bias"):
        large.state_dict()[f"synthesis.{name}"].add_(torch.tensor([400.0, 0.0, -400.0]))
    tensors = {name: tensor.double().numpy() for name, tensor in large.state_dict().items()}
    code, features = encoded(tensors, image, mask)
    assert max(np.abs(value).max() for value in features.values()) == 256
    expected = painted(tensors, code, mapped(tensors), features)
    assert np.abs(expected[SIDE]).max() > 256  # two clamped pictures add up
    given = torch.from_numpy(image).float()[None], torch.from_numpy(mask).float()[None, None]
    assert_close(large(*given), expected[SIDE])


@pytest.mark.parametrize("size", [(8, 8), (12, 6), (2, 4)])
def test_global_path_takes_any_even_size(size):
    torch.manual_seed(0)
    path = SpectralTransform(16, RECIPE).requires_grad_(False)
    x = torch.randn(2, 16, *size)
    tensors = {f"p.{name}": tensor.numpy() for name, tensor in path.state_dict().items()}
    expected = [spectral(tensors, "p", sample.numpy()) for sample in x]
    np.testing.assert_allclose(path(x).numpy(), expected, rtol=0, atol=1e-5)


def test_quarters_are_columns_first():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert quarters(x)[0, :, 0, 0].tolist() == [0, 8, 2, 10]
