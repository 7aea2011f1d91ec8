"""MI-GAN's runner: what its network is given, and what becomes of its answer."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from deployments.models.migan import SIDE_PX, MiGan
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import FixedTiling, ModelSpec
from tests.standins.migan import FILE, random_migan, write_migan

ROOT = Path(__file__).parents[2]
SPEC = ModelSpec.model_validate(yaml.safe_load((ROOT / "configs/models/migan.yaml").read_text()))
PARAMS = EraseParams()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("migan")
    write_migan(folder)
    return MiGan.load(SPEC, [folder / FILE], LoadOptions())


def batch(count, side=SIDE_PX):
    """Images of noise, each with a hole of its own."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, side, side, 3), np.uint8)
    masks = np.zeros((count, side, side), np.uint8)
    for index, mask in enumerate(masks):
        mask[side // 4 : side // 2 + index, side // 8 : side // 2] = 255
    return images, masks


def listening(answer=None):
    """A runner whose network answers the picture that it was given, and the list of those."""
    given = []

    def network(planes):
        given.append(planes)
        return planes[:, 1:] if answer is None else torch.full_like(planes[:, 1:], answer)

    return MiGan(network, "cpu"), given


def test_network_sees_the_mask_around_0_and_the_picture_without_the_hole():
    images, masks = batch(2, 16)
    runner, given = listening()
    runner.forward(images, masks, PARAMS)
    [planes] = given
    hole = masks != 0
    assert (planes.dtype, planes.shape) == (torch.float32, (2, 4, 16, 16))
    np.testing.assert_array_equal(planes[:, 0].numpy(), np.where(hole, -0.5, 0.5))
    expected = np.where(hole[..., None], 0, images / 127.5 - 1)
    np.testing.assert_allclose(planes[:, 1:].numpy().transpose(0, 2, 3, 1), expected, atol=1e-6)


def test_mask_pixels_above_120_are_holes():
    images, masks = batch(1, 16)
    masks[0, 0, :4] = 0, 120, 121, 255
    runner, given = listening()
    runner.forward(images, masks, PARAMS)
    assert given[0][0, 0, 0, :4].tolist() == [0.5, 0.5, -0.5, -0.5]


@pytest.mark.parametrize(
    ("value", "level"),
    [(-1.5, 0), (-1.0, 0), (0.0, 128), (1 / 127.5, 128), (0.999, 255), (1.0, 255), (1.01, 255)],
)
def test_answer_is_rounded_and_clipped(value, level):
    """Half a level goes to the even one, as torch rounds: 127.5 and 128.5 are both 128."""
    runner, _ = listening(value)
    assert np.unique(runner.forward(*batch(1, 16), PARAMS)).tolist() == [level]


def test_answer_keeps_the_order_of_axes_and_colours():
    images, masks = batch(2, 16)
    runner, _ = listening()
    result = runner.forward(images, np.zeros_like(masks), PARAMS)
    np.testing.assert_array_equal(result, images)


def test_pixels_are_those_of_the_network_called_by_hand(model):
    images, masks = batch(1)
    scaled = torch.from_numpy(images / 127.5 - 1).float().permute(0, 3, 1, 2)
    hole = torch.from_numpy(masks != 0).float()[:, None]
    with torch.inference_mode():
        painted = random_migan()(torch.cat([0.5 - hole, scaled * (1 - hole)], dim=1))
    expected = np.clip(painted.numpy().transpose(0, 2, 3, 1) * 127.5 + 127.5, 0, 255)
    result = model.forward(images, masks, PARAMS)
    assert result[masks > 0].std() > 10  # the stand-in paints something to compare
    assert np.abs(result - expected).max() < 0.51


def test_size_rule_is_the_only_one_that_works(model):
    assert SPEC.size.padded((1, 300)) == (SIDE_PX, SIDE_PX)
    assert SPEC.tiling == FixedTiling(size=SIDE_PX, margin=128)
    with pytest.raises(RuntimeError):
        model.forward(*batch(1, 256), PARAMS)
