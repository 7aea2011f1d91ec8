"""FcF's runner: what it loads, what its network is given, and what becomes of its answer.

What every erase model must hold stands in test_contract.py, the network in test_fcf_network.py.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor

from deployments.models.fcf import Fcf
from deployments.models.fcf_network import PUBLISHED_WIDTHS, FcfNetwork
from inpaint.errors import WeightsCorruptError
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import FixedTiling, ModelSpec, SizeRule
from tests.standins.fcf import FILE, narrow, random_fcf, write_fcf

ROOT = Path(__file__).parents[2]
SPEC = ModelSpec.model_validate(yaml.safe_load((ROOT / "configs/models/fcf.yaml").read_text()))
PARAMS = EraseParams()

SIDE = 64
"""Of most tests' networks: small, and with fast Fourier blocks at two sizes."""

SMALL = SPEC.model_copy(
    update={"size": SizeRule(multiple_of=SIDE, minimum=SIDE, square=True), "tiling": FixedTiling()}
)


def load(path: Path, spec: ModelSpec = SMALL) -> Fcf:
    return Fcf.load(spec, [path], LoadOptions())


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_fcf(tmp_path_factory.mktemp("fcf"), narrow(SIDE))


@pytest.fixture(scope="module")
def model(path):
    return load(path)


def batch(count, side=SIDE):
    """Images of noise, each with a hole of its own."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, side, side, 3), np.uint8)
    masks = np.zeros((count, side, side), np.uint8)
    for index, mask in enumerate(masks):
        mask[side // 4 : side // 2 + index, side // 8 : side // 2] = 255
    return images, masks


def listening(answer=None):
    """A runner whose network answers the picture that it was given, and the list of its inputs."""
    given: list[tuple[Tensor, Tensor]] = []

    def network(image: Tensor, mask: Tensor) -> Tensor:
        given.append((image, mask))
        return image if answer is None else torch.full_like(image, answer)

    return Fcf(network, "cpu"), given


def test_network_has_the_published_names_and_shapes():
    """The list: names and shapes of the generator that IOPaint 1.6 loads strictly."""
    published = json.loads((ROOT / "tests/data/fcf_state_dict.json").read_text())
    with torch.device("meta"):
        state = FcfNetwork(PUBLISHED_WIDTHS).state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == published


@pytest.mark.slow
def test_full_size_weights_load_and_answer(tmp_path):
    path = write_fcf(tmp_path, PUBLISHED_WIDTHS)
    images, masks = batch(1, 512)
    answer = load(path, SPEC).forward(images, masks, PARAMS)
    assert (answer.shape, answer.dtype) == (images.shape, np.uint8)
    assert answer.std() > 10


def test_memory_of_the_yaml_is_that_of_the_published_tensors():
    published = json.loads((ROOT / "tests/data/fcf_state_dict.json").read_text())
    floats = sum(int(np.prod(shape)) for shape in published.values())
    assert abs(SPEC.memory_mb - floats * 4 / 2**20) < 1


def test_network_is_given_rgb_around_0_and_a_mask_of_0_and_1():
    images, masks = batch(2)
    masks[0, 0, :4] = 0, 120, 121, 255
    runner, given = listening()
    runner.forward(images, masks, PARAMS)
    [(image, mask)] = given
    assert (image.dtype, mask.dtype) == (torch.float32, torch.float32)
    np.testing.assert_allclose(
        image.numpy().transpose(0, 2, 3, 1), images / 127.5 - 1, rtol=0, atol=1e-6
    )
    np.testing.assert_array_equal(mask[:, 0].numpy(), np.where(masks > 120, 1, 0))
    assert mask[0, 0, 0, :4].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("value", "level"),
    [(-1.5, 0), (-1.0, 0), (0.0, 128), (1 / 127.5, 128), (0.999, 255), (1.0, 255), (1.01, 255)],
)
def test_answer_is_rounded_and_clipped(value, level):
    """Half a level goes to the even one, as torch rounds: 127.5 and 128.5 are both 128."""
    runner, _ = listening(value)
    assert np.unique(runner.forward(*batch(1), PARAMS)).tolist() == [level]


def test_answer_keeps_the_order_of_axes_and_colours():
    images, masks = batch(2)
    runner, _ = listening()
    np.testing.assert_array_equal(runner.forward(images, masks, PARAMS), images)


def test_published_tensors_that_have_no_effect_are_these():
    """As in IOPaint's network: filters that nothing is resampled with, noise, biases of modulated
    convolutions, which are never added, and the weights that the zero latent vector meets."""
    idle = re.compile(
        r"encoder\.b\d+\.((conv0|fromrgb|conv)\.)?resample_filter"
        r"|synthesis\.(foreword\.conv|b\d+\.conv1)\.resample_filter"
        r"|synthesis\.\w+\.conv[01]?\.(noise_strength|noise_const|bias)"
        r"|mapping\.fc0\.weight"
    )
    image, mask = torch.rand(1, 3, SIDE, SIDE) * 2 - 1, torch.zeros(1, 1, SIDE, SIDE)
    mask[:, :, 20:40, 10:50] = 1
    network = random_fcf(narrow(SIDE))
    expected = network(image, mask)
    for name, tensor in network.state_dict().items():
        before = tensor.clone()
        tensor.add_(torch.linspace(0.5, 1, tensor.numel()).view_as(tensor))
        assert torch.equal(network(image, mask), expected) == bool(idle.fullmatch(name)), name
        tensor.copy_(before)


def test_batch_is_each_image_alone(model):
    """Though the authors' network compares the pictures of a batch with each other."""
    images, masks = batch(5)
    together = model.forward(images, masks, PARAMS)
    alone = [model.forward(images[i : i + 1], masks[i : i + 1], PARAMS)[0] for i in range(5)]
    assert np.abs(together.astype(int) - np.stack(alone)).max() <= 1


def test_widths_are_those_of_the_file(tmp_path):
    widths = {4: 20, 8: 16, 16: 8, 32: 32, 64: 11}
    path = write_fcf(tmp_path, widths, seed=3)
    images, masks = batch(1)
    expected = Fcf(random_fcf(widths, seed=3), "cpu").forward(images, masks, PARAMS)
    np.testing.assert_array_equal(load(path).forward(images, masks, PARAMS), expected)


def test_safetensors_give_the_same_pixels(tmp_path, model):
    path = tmp_path / "places_512_G.safetensors"
    save_file(random_fcf(narrow(SIDE)).state_dict(), path)
    images, masks = batch(1)
    np.testing.assert_array_equal(
        load(path).forward(images, masks, PARAMS), model.forward(images, masks, PARAMS)
    )


def test_weights_for_pictures_of_another_size_are_refused(path):
    with pytest.raises(WeightsCorruptError, match=r"places_512_G\.pth .* pictures of 64 px"):
        load(path, SPEC)


FIRST = "encoder.b64.conv0.weight"
LAST = "encoder.b4.conv.weight"
INNER = "synthesis.b32.ffc_skip.0.ffc_act.ffc_block.conv1.ffc.convg2g.lfu.conv_layer.weight"


def without(state: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if part not in key}


OTHER_CONTENTS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "nothing": lambda state: {},
    "other-network": lambda state: torch.nn.Linear(2, 2).state_dict(),
    "missing": lambda state: without(state, INNER),
    "unknown": lambda state: state | {"synthesis.b128.bias": torch.zeros(1)},
    "reshaped": lambda state: state | {INNER: torch.zeros(3)},
    "no-size-between": lambda state: without(state, "encoder.b16."),
    "no-end": lambda state: without(state, LAST),
    "odd-size": lambda state: state | {"encoder.b48.conv0.weight": state[FIRST]},
    "flat": lambda state: state | {FIRST: torch.zeros(12)},
    "flat-end": lambda state: state | {LAST: torch.zeros(12)},
    "no-width": lambda state: state | {FIRST: torch.zeros(0, 12, 3, 3)},
    "no-end-width": lambda state: state | {LAST: torch.zeros(0, 13, 3, 3)},
    "too-wide": lambda state: state | {FIRST: torch.zeros(1, 1, 1, 1).expand(2**20, 12, 3, 3)},
    "no-tensors": lambda state: {FIRST: "text"},
}


@pytest.mark.parametrize("change", OTHER_CONTENTS.values(), ids=list(OTHER_CONTENTS))
def test_other_contents_are_refused_by_name(tmp_path, change):
    path = tmp_path / FILE
    torch.save(change(random_fcf(narrow(SIDE)).state_dict()), path)
    with pytest.raises(WeightsCorruptError) as caught:
        load(path)
    assert FILE in caught.value.detail
    assert str(tmp_path) not in caught.value.detail


@pytest.mark.parametrize("width", [2, 8, 10, 15, 16])
def test_width_that_fast_fourier_blocks_cannot_quarter_is_refused(tmp_path, width):
    path, state = tmp_path / FILE, random_fcf(narrow(SIDE)).state_dict()
    torch.save(state | {"encoder.b32.conv0.weight": torch.zeros(width, 12, 3, 3)}, path)
    with pytest.raises(WeightsCorruptError, match=r"places_512_G\.pth .* width"):
        load(path)
