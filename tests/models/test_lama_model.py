"""LaMa's runner on small random networks in every published file format."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from deployments.models import lama
from deployments.models.lama import Lama
from deployments.models.lama_network import LamaNetwork
from inpaint.arrays import Images, Masks
from inpaint.errors import WeightsCorruptError
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec
from tests.standins import md5_of
from tests.standins.damage import DAMAGES, PACKINGS, MakesFolder
from tests.standins.lama import random_lama, write_lama_state_dict, write_lama_torchscript

ROOT = Path(__file__).parents[2]
SPEC = ModelSpec.model_validate(yaml.safe_load((ROOT / "configs/models/lama.yaml").read_text()))
PARAMS = EraseParams()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One set of weights in every format."""
    folder = tmp_path_factory.mktemp("lama")
    write_lama_torchscript(folder / "big-lama.pt")
    for name in ("big-lama.safetensors", "big-lama.ckpt", "big-lama.pth"):
        write_lama_state_dict(folder / name)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return load(folder / "big-lama.safetensors")


@pytest.fixture(scope="module")
def script(folder):
    return load(folder / "big-lama.pt")


def load(path: Path) -> Lama:
    return Lama.load(SPEC, [path], LoadOptions())


def batch(count: int, height: int, width: int, seed: int = 0) -> tuple[Images, Masks]:
    """Images of noise, each with a hole of its own."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    masks: Masks = np.zeros((count, height, width), np.uint8)
    for index, mask in enumerate(masks):
        mask[height // 4 : height // 2 + index, width // 4 : width // 2] = 255
    return images, masks


def answer_with(values: lama.Network) -> tuple[Lama, list[tuple[Tensor, Tensor]]]:
    """A runner whose network answers `values`, and the list of what it was given."""
    given = []

    def network(image: Tensor, mask: Tensor) -> Tensor:
        given.append((image, mask))
        return values(image, mask)

    return Lama(network, "cpu"), given


def test_network_has_the_published_names_and_shapes():
    """The list: names and shapes of big-lama's generator, as spandrel 0.4.2 loads it."""
    published = json.loads((ROOT / "tests/data/lama_state_dict.json").read_text())
    with torch.device("meta"):
        state = LamaNetwork().state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == published
    assert list(state) == list(published)


@pytest.mark.parametrize("size", [(16, 16), (24, 40), (512, 512)])
def test_torchscript_gives_the_pixels_of_our_network(model, script, size):
    images, masks = batch(1, *size)
    ours = model.forward(images, masks, PARAMS)
    theirs = script.forward(images, masks, PARAMS)
    assert ours.shape == images.shape
    assert ours[masks > 0].std() > 10  # the stand-in paints something that can be compared
    assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("name", ["big-lama.ckpt", "big-lama.pth"])
def test_state_dict_files_give_the_same_pixels(folder, model, name):
    images, masks = batch(1, 24, 40)
    expected = model.forward(images, masks, PARAMS)
    np.testing.assert_array_equal(load(folder / name).forward(images, masks, PARAMS), expected)


@pytest.mark.parametrize("prefix", lama.PREFIXES)
def test_state_dict_loads_under_every_prefix(tmp_path, model, prefix):
    images, masks = batch(1, 16, 24)
    path = write_lama_state_dict(tmp_path / "x.safetensors", prefix=prefix)
    np.testing.assert_array_equal(
        load(path).forward(images, masks, PARAMS), model.forward(images, masks, PARAMS)
    )


def test_format_is_told_by_content_and_not_by_name(folder, tmp_path, model):
    images, masks = batch(1, 16, 16)
    expected = model.forward(images, masks, PARAMS)
    for given in ("big-lama.pt", "big-lama.ckpt", "big-lama.safetensors"):
        path = tmp_path / "weights.bin"
        path.write_bytes((folder / given).read_bytes())
        assert np.abs(load(path).forward(images, masks, PARAMS).astype(int) - expected).max() <= 1


def test_state_dict_of_older_torch_loads(tmp_path, model):
    path = tmp_path / "big-lama.ckpt"
    state = {"generator." + key: value for key, value in random_lama().state_dict().items()}
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=False)
    images, masks = batch(1, 16, 16)
    np.testing.assert_array_equal(
        load(path).forward(images, masks, PARAMS), model.forward(images, masks, PARAMS)
    )


def test_state_dict_in_half_precision_runs_in_float32(tmp_path):
    path = tmp_path / "half.pth"
    torch.save({key: value.half() for key, value in random_lama().state_dict().items()}, path)
    images, masks = batch(1, 16, 16)
    assert load(path).forward(images, masks, PARAMS).dtype == np.uint8


@pytest.mark.parametrize(("ngf", "blocks"), [(2, 0), (3, 1), (8, 3)])
def test_state_dict_tells_width_and_depth(tmp_path, ngf, blocks):
    path = write_lama_state_dict(tmp_path / "x.safetensors", ngf=ngf, blocks=blocks)
    images, masks = batch(1, 16, 16)
    assert load(path).forward(images, masks, PARAMS).shape == images.shape


def test_input_is_scaled_rgb_and_an_integer_mask():
    images, masks = batch(2, 16, 24)
    masks[0, 0, :3] = 1, 126, 127  # RESIZE makes such values; all of them are holes
    runner, given = answer_with(lambda image, mask: image)
    runner.forward(images, masks, PARAMS)
    [(image, mask)] = given
    expected = np.array([value / 255 for value in range(256)], np.float32)[images]
    assert (image.dtype, mask.dtype) == (torch.float32, torch.int64)
    np.testing.assert_array_equal(image.numpy(), expected.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(mask.numpy(), np.where(masks[:, None] == 0, 0, 1))


@pytest.mark.parametrize(
    ("value", "level"), [(-0.5, 0), (0.0, 0), (0.999, 254), (0.5, 127), (1.0, 255), (1.7, 255)]
)
def test_output_is_clipped_and_truncated(value, level):
    runner, _ = answer_with(lambda image, mask: torch.full_like(image, value))
    result = runner.forward(*batch(1, 16, 16), PARAMS)
    assert np.unique(result).tolist() == [level]


def test_output_keeps_the_order_of_axes_and_colours():
    images, masks = batch(2, 16, 24)
    runner, _ = answer_with(lambda image, mask: image.contiguous() + 0.5 / 255)
    result = runner.forward(images, masks, PARAMS)
    np.testing.assert_array_equal(result, images)
    assert result.flags.c_contiguous
    assert result.flags.writeable


def test_network_neither_sees_the_hole_nor_changes_the_rest():
    network = random_lama()
    image, mask = torch.rand(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    mask[:, :, 4:9, 3:12] = 1
    result = network(image, mask)
    other = torch.where(mask == 1, torch.rand_like(image), image)
    assert torch.equal(result[mask.expand_as(image) == 0], image[mask.expand_as(image) == 0])
    assert torch.equal(network(other, mask), result)


@pytest.mark.parametrize("name", ["model", "script"])
def test_batch_equals_singles(request, name):
    runner = request.getfixturevalue(name)
    images, masks = batch(3, 24, 40)
    together = runner.forward(images, masks, PARAMS)
    alone = [runner.forward(images[i : i + 1], masks[i : i + 1], PARAMS)[0] for i in range(3)]
    assert np.abs(together.astype(int) - np.stack(alone)).max() <= 1


def test_inputs_may_be_read_only_and_stay_unchanged(model):
    images, masks = batch(1, 16, 16)
    before = images.copy(), masks.copy()
    images.flags.writeable = masks.flags.writeable = False
    result = model.forward(images, masks, PARAMS)
    assert not np.shares_memory(result, images)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(masks, before[1])


def test_size_rule_is_the_smallest_that_works(model):
    assert SPEC.size.padded((1, 17)) == (16, 24)
    assert model.forward(*batch(1, *SPEC.size.padded((1, 17))), PARAMS).shape == (1, 16, 24, 3)
    with pytest.raises(RuntimeError, match=r"[Pp]adding"):
        model.forward(*batch(1, 8, 16), PARAMS)


def test_config_names_the_runner():
    assert SPEC.runner == f"{Lama.__module__}:{Lama.__name__}"


def test_standin_weights_depend_on_the_seed_only(tmp_path):
    first, again, other = (
        md5_of(write_lama_state_dict(tmp_path / f"{name}.safetensors", seed=seed))
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert first == again != other


@pytest.mark.parametrize("name", ["big-lama.pt", "big-lama.ckpt", "big-lama.safetensors"])
@pytest.mark.parametrize("spoil", DAMAGES.values(), ids=list(DAMAGES))
def test_damaged_file_is_refused_by_name(folder, tmp_path, name, spoil):
    path = tmp_path / name
    path.write_bytes(spoil((folder / name).read_bytes()))
    with pytest.raises(WeightsCorruptError) as caught:
        load(path)
    assert name in caught.value.detail
    assert str(tmp_path) not in caught.value.detail


FIRST = f"model.{lama.FIRST_WEIGHT}"
INNER = "model.5.conv1.ffc.convg2g.fu.bn.weight"
OTHER_CONTENTS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "nothing": lambda state: {},
    "other-network": lambda state: torch.nn.Linear(2, 2).state_dict(),
    "missing": lambda state: {key: value for key, value in state.items() if key != INNER},
    "unknown": lambda state: state | {"model.99.weight": torch.zeros(1)},
    "reshaped": lambda state: state | {INNER: torch.zeros(3)},
    "no-block": lambda state: {key: value for key, value in state.items() if ".6." not in key},
    "flat": lambda state: state | {FIRST: torch.zeros(4)},
    "no-width": lambda state: state | {FIRST: torch.zeros(0, 4, 7, 7)},
    "too-wide": lambda state: state | {FIRST: torch.zeros(1, 1, 1, 1).expand(2**20, 4, 7, 7)},
    "no-tensors": lambda state: {FIRST: "text"},
    "no-dictionary": lambda state: [torch.zeros(1)],
}
"""What torch.save may hold besides LaMa's weights."""


@pytest.mark.parametrize("content", OTHER_CONTENTS.values(), ids=list(OTHER_CONTENTS))
def test_other_state_dict_is_refused(tmp_path, content):
    path = tmp_path / "big-lama.ckpt"
    torch.save(content(random_lama().state_dict()), path)
    with pytest.raises(WeightsCorruptError, match=r"big-lama\.ckpt"):
        load(path)


class OneInput(torch.nn.Module):
    def forward(self, image):
        return image


class OtherAnswer(torch.nn.Module):
    def forward(self, image, mask):
        return image[:, :1] * mask


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("network", [OneInput, OtherAnswer])
def test_other_torchscript_is_refused(tmp_path, network):
    path = tmp_path / "big-lama.pt"
    torch.jit.script(network()).save(path)
    with pytest.raises(WeightsCorruptError, match=r"big-lama\.pt"):
        load(path)


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=list(PACKINGS))
def test_pickle_does_not_run_its_code(tmp_path, pack):
    path, trap = tmp_path / "big-lama.ckpt", tmp_path / "trap"
    path.write_bytes(pack(MakesFolder(trap)))
    with pytest.raises(WeightsCorruptError, match=r"big-lama\.ckpt"):
        load(path)
    assert not trap.exists()
    pickle.loads(pickle.dumps(MakesFolder(trap)))
    assert trap.exists()  # the trap works
