"""The parts of mat's transformer, each against its definition written out in loops."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from deployments.models import mat_transformer as mat
from deployments.models.mat_transformer import (
    BLOCKED,
    HEADS,
    PartialConv,
    TransformerBlock,
    TransformerStage,
    WindowAttention,
)

NEAR = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture
def noise():
    """Draws normal tensors of a shape; equal tests, equal numbers."""
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(shape, generator=generator)


@pytest.fixture(autouse=True)
def _without_gradients():
    """The layers work in place, as in inference, and start with equal weights in equal tests."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        yield


def windows_of(size: tuple[int, int], window: int) -> list[list[int]]:
    """The numbers of the tokens in each window, windows and tokens row by row."""
    height, width = size
    return [
        [
            row * width + column
            for row in range(top, top + window)
            for column in range(left, left + window)
        ]
        for top in range(0, height, window)
        for left in range(0, width, window)
    ]


def shifted(size: tuple[int, int], by: int) -> list[int]:
    """Number of the token that stands at each place once all moved up and left by `by`."""
    height, width = size
    return [
        (row + by) % height * width + (column + by) % width
        for row in range(height)
        for column in range(width)
    ]


def test_tokens_are_pixels_row_by_row(noise):
    features = noise(2, 3, 4, 6)
    tokens = mat.to_tokens(features)
    for n, row, column in itertools.product(range(2), range(4), range(6)):
        assert torch.equal(tokens[n, row * 6 + column], features[n, :, row, column])
    assert torch.equal(mat.to_features(tokens, (4, 6)), features)


def test_features_of_tokens_are_channels_last(noise):
    features = mat.to_features(noise(1, 24, 5), (4, 6))
    assert features.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("window", [1, 2, 4])
def test_windows_are_squares_of_tokens_and_go_back(noise, window):
    size = (4, 8)
    tokens = noise(2, 32, 3)
    windows = mat.to_windows(tokens, size, window)
    expected = [tokens[n, numbers] for n in range(2) for numbers in windows_of(size, window)]
    assert torch.equal(windows, torch.stack(expected))
    assert torch.equal(mat.from_windows(windows, size, window), tokens)


def test_shift_moves_rows_and_columns_around_the_border(noise):
    tokens = noise(2, 24, 3)
    assert torch.equal(mat.shift(tokens, (4, 6), -1), tokens[:, shifted((4, 6), 1)])
    assert torch.equal(mat.shift(mat.shift(tokens, (4, 6), -1), (4, 6), 1), tokens)


@pytest.mark.parametrize("size", [(8, 8), (8, 12)])
def test_shift_mask_blocks_what_the_border_brought_together(size):
    window, by = 4, 2
    mask = mat.shift_mask(size, window, by)
    order = shifted(size, by)
    for numbers, blocked in zip(windows_of(size, window), mask, strict=True):
        for (i, first), (j, second) in itertools.product(enumerate(numbers), repeat=2):
            # In a window after shifting; neighbours before only if equally far off.
            offsets = [
                (order[second] // size[1]) - (order[first] // size[1]),
                (order[second] % size[1]) - (order[first] % size[1]),
            ]
            moved = [second // size[1] - first // size[1], second % size[1] - first % size[1]]
            assert blocked[i, j] == (0 if offsets == moved else BLOCKED)


@pytest.mark.parametrize("down", [1, 2])
@pytest.mark.parametrize("size", [3, 5])
def test_partial_convolution_divides_by_the_share_of_valid_pixels(noise, size, down):
    conv = PartialConv(2, 3, size, down=down)
    x, valid = noise(1, 2, 8, 12), (noise(1, 1, 8, 12) > 1.7).float()
    answer, seen = conv(x, valid)
    plain = conv.conv(x)
    assert seen is not None
    half = size // 2
    known = np.pad(valid[0, 0].numpy(), half)
    for row, column in itertools.product(range(8 // down), range(12 // down)):
        count = known[row * down :, column * down :][:size, :size].sum()
        assert seen[0, 0, row, column] == (count > 0)
        expected = plain[0, :, row, column] * (size**2 / count if count else 0)
        torch.testing.assert_close(answer[0, :, row, column], expected, **NEAR)
    assert 0 < seen.mean() < 1  # both kinds occur


def test_partial_convolution_of_a_whole_picture_is_a_convolution(noise):
    conv, x = PartialConv(2, 3, up=2), noise(1, 2, 8, 8)
    answer, valid = conv(x, None)
    assert valid is None
    assert torch.equal(answer, conv.conv(x))


def attention(layer: WindowAttention, x: Tensor, bias: Tensor) -> Tensor:
    """The definition, for one window: (T, C) tokens and (T, T) bias; doubles hold exp(-200)."""
    unit = x / x.square().sum(1, keepdim=True).sqrt()
    q, k, v = (part.double() for part in (layer.q(unit), layer.k(unit), layer.v(x)))
    depth = x.shape[1] // HEADS
    mixed = []
    for head in range(HEADS):
        part = slice(head * depth, (head + 1) * depth)
        scores = q[:, part] @ k[:, part].T / depth**0.5 + bias
        odds = scores.exp()
        mixed.append(odds / odds.sum(1, keepdim=True) @ v[:, part])
    answer: Tensor = layer.proj(torch.cat(mixed, dim=1).float())
    return answer


def test_window_attention_is_attention_by_head_and_window(noise):
    layer, x, bias = WindowAttention(2 * HEADS), noise(3, 5, 2 * HEADS), noise(3, 5, 5)
    expected = torch.stack([attention(layer, *pair) for pair in zip(x, bias, strict=True)])
    torch.testing.assert_close(layer(x, bias[:, None]), expected, **NEAR)


@pytest.mark.parametrize("size", [(8, 8), (8, 16)], ids=["trained-size", "other-size"])
@pytest.mark.parametrize("by", [0, 2])
def test_block_attends_to_valid_tokens_of_its_window(noise, by, size):
    """With two pictures, of which each has tokens to ignore."""
    width, window = HEADS, 4
    block = TransformerBlock(width, 8, window, by)
    count = size[0] * size[1]
    x, valid = noise(2, count, width), (noise(2, count, 1) > 1).float()
    valid[:, windows_of(size, window)[1]] = 0
    answer, known = block(x, size, valid)
    assert known is not None

    order = torch.tensor(shifted(size, by))
    blocked = mat.shift_mask(size, window, by) if by else torch.zeros(99, 16, 16)
    mixed, expected_known = torch.zeros_like(x), torch.zeros_like(valid)
    for n, (index, numbers) in itertools.product(range(2), enumerate(windows_of(size, window))):
        own = order[numbers]
        unseen = torch.where(valid[n, own, 0] > 0, 0.0, BLOCKED)
        mixed[n, own] = attention(block.attn, x[n, own], blocked[index] + unseen)
        expected_known[n, own] = valid[n, own].max()
    expected = block.mlp(block.fuse(torch.cat((x, mixed), dim=2)))
    torch.testing.assert_close(answer, expected, **NEAR)
    assert torch.equal(known, expected_known)
    assert 0 < known.mean() < 1  # both kinds occur


def test_stage_shifts_every_second_block_unless_a_window_holds_all():
    shifts = [block.by for block in TransformerStage(HEADS, 32, 3, 16).blocks]
    assert shifts == [0, 8, 0]
    assert not any(block.by for block in TransformerStage(HEADS, 16, 4, 16).blocks)


@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2)])
def test_stage_is_resampling_blocks_and_a_convolution_with_a_skip(noise, up, down):
    stage = TransformerStage(HEADS, 8, 2, 4, up=up, down=down)
    x, valid = noise(1, HEADS, 8, 8), torch.ones(1, 1, 8, 8)
    answer, _ = stage(x, None if up > 1 else valid)
    mask = None if up > 1 else valid
    if stage.downsample is not None:
        x, mask = stage.downsample.conv(x, mask)
    size = (8 * up // down, 8 * up // down)
    tokens = mat.to_tokens(x)
    for block in stage.blocks:
        tokens, _ = block(tokens, size, None)  # all are valid
    expected = stage.conv(mat.to_features(tokens, size), mask)[0] + x
    torch.testing.assert_close(answer, expected, **NEAR)
    assert answer.shape == (1, HEADS, *size)
