"""Manga's runner: what its two networks are given, and what becomes of their answer."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from deployments.models.manga import PROBE_PX, Manga, noise_of
from inpaint.errors import WeightsCorruptError
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec
from tests.standins.manga import LINER_FILE, PAINTER_FILE, random_liner, random_painter, write_manga

ROOT = Path(__file__).parents[2]
SPEC = ModelSpec.model_validate(yaml.safe_load((ROOT / "configs/models/manga.yaml").read_text()))
PARAMS = EraseParams(seed=42)
DEFAULT_SEED = 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("manga")
    write_manga(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return load(folder / PAINTER_FILE, folder / LINER_FILE)


def load(*paths: Path) -> Manga:
    return Manga.load(SPEC, paths, LoadOptions())


def batch(count, height=32, width=48):
    """Images of noise, each with a hole of its own."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    masks = np.zeros((count, height, width), np.uint8)
    for index, mask in enumerate(masks):
        mask[4 : 16 + index, 8:24] = 255
    return images, masks


class Listening:
    """A runner whose networks keep what they were given."""

    def __init__(self, lines=None, painted=None):
        self.grey = []
        self.given = []
        self._lines, self._painted = lines, painted
        self.runner = Manga(self._line, self._paint, DEFAULT_SEED, "cpu")

    def _line(self, grey):
        self.grey.append(grey)
        return grey if self._lines is None else torch.full_like(grey, self._lines)

    def _paint(self, *given):
        self.given.append(given)
        return given[0] if self._painted is None else torch.full_like(given[0], self._painted)


@pytest.mark.parametrize(
    ("colour", "level"),
    [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((9, 9, 9), 9)],
    ids=["red", "green", "blue", "grey"],
)
def test_grey_is_the_luma_of_rgb(colour, level):
    """ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B, rounded."""
    listening = Listening()
    images, masks = batch(1)
    images[:] = colour
    listening.runner.forward(images, masks, PARAMS)
    assert listening.grey[0].unique().tolist() == [level]


def test_line_extraction_sees_levels_and_the_painter_minus_one_to_one():
    listening = Listening()
    images, masks = batch(1)
    listening.runner.forward(images, masks, PARAMS)
    [grey] = listening.grey
    luma = images[0] @ [0.299, 0.587, 0.114]
    assert (grey.dtype, grey.shape) == (torch.float32, (1, 1, 32, 48))
    assert np.abs(grey[0, 0].numpy() - luma).max() <= 0.51
    assert torch.equal(listening.given[0][0], grey / 255 * 2 - 1)


@pytest.mark.parametrize(
    ("lines", "given"), [(-40.0, -1.0), (0.0, -1.0), (127.5, 0.0), (255.0, 1.0), (300.0, 1.0)]
)
def test_lines_are_clamped_before_they_are_scaled(lines, given):
    listening = Listening(lines=lines)
    listening.runner.forward(*batch(1), PARAMS)
    assert listening.given[0][1].unique().tolist() == [given]


def test_every_mask_pixel_above_0_is_a_hole():
    listening = Listening()
    images, masks = batch(1)
    masks[0, 0, :4] = 0, 1, 127, 255
    listening.runner.forward(images, masks, PARAMS)
    hole, ones = listening.given[0][2], listening.given[0][4]
    assert torch.equal(hole[0, 0], torch.from_numpy(masks[0] != 0).float())
    assert torch.equal(ones, torch.ones(1, 1, 32, 48))


@pytest.mark.parametrize("seed", [0, 42, 2**31 - 1])
def test_noise_is_what_torch_draws_after_manual_seed(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expected = torch.randn(1, 1, 32, 48)
    listening = Listening()
    listening.runner.forward(*batch(1), EraseParams(seed=seed))
    assert torch.equal(listening.given[0][3], expected)
    assert torch.equal(noise_of(seed, 32, 48), expected)


def test_seed_that_is_not_stated_is_the_models():
    listening = Listening()
    listening.runner.forward(*batch(1), EraseParams())
    assert torch.equal(listening.given[0][3], noise_of(DEFAULT_SEED, 32, 48))
    assert SPEC.default_seed == 42
    assert SPEC.reads == ("seed",)


@pytest.mark.parametrize(
    ("value", "level"),
    [(-1.5, 0), (-1.0, 0), (-0.001, 127), (0.0, 127), (0.999, 254), (1.0, 255), (1.01, 255)],
)
def test_answer_is_truncated_and_clipped(value, level):
    listening = Listening(painted=value)
    result = listening.runner.forward(*batch(1), PARAMS)
    assert (result.dtype, result.shape) == (np.uint8, (1, 32, 48, 3))
    assert np.unique(result).tolist() == [level]


def test_pixels_are_those_of_the_networks_called_by_hand(model):
    images, masks = batch(1)
    grey = np.floor(images[0] @ [0.299, 0.587, 0.114] + 0.5).astype(np.float32)
    grey = torch.from_numpy(grey)[None, None]
    hole = torch.from_numpy((masks[0] > 0).astype(np.float32))[None, None]
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(42)
        noise = torch.randn_like(hole)
        lines = random_liner()(grey).clamp(0, 255)
        painted = random_painter()(
            grey / 255 * 2 - 1, lines / 255 * 2 - 1, hole, noise, torch.ones_like(hole)
        )
    expected = (painted[0, 0].numpy() * 127.5 + 127.5).astype(int)
    result = model.forward(images, masks, PARAMS)[0]
    assert expected[masks[0] > 0].std() > 10  # the stand-in paints something to compare
    for channel in range(3):
        assert np.abs(result[..., channel] - expected).max() <= 1


def test_batch_is_each_image_alone(model):
    images, masks = batch(3)
    together = model.forward(images, masks, PARAMS)
    alone = [model.forward(images[i : i + 1], masks[i : i + 1], PARAMS)[0] for i in range(3)]
    np.testing.assert_array_equal(together, np.stack(alone))


def test_size_rule_is_the_smallest_that_works(model):
    assert SPEC.size.padded((1, 33)) == (32, 48)
    assert SPEC.size.minimum == PROBE_PX
    assert model.forward(*batch(1, 32, 32), PARAMS).shape == (1, 32, 32, 3)
    with pytest.raises(RuntimeError, match=r"[Pp]adding"):
        model.forward(*batch(1, 16, 32), PARAMS)


def test_files_in_the_wrong_order_are_refused(folder):
    with pytest.raises(WeightsCorruptError, match=r"erika\.jit cannot be used: as TorchScript it"):
        load(folder / LINER_FILE, folder / PAINTER_FILE)
    with pytest.raises(WeightsCorruptError, match=r"manga_inpaintor\.jit cannot be used"):
        load(folder / PAINTER_FILE, folder / PAINTER_FILE)
