"""ZITS's runner: stage by stage with networks that listen, then on random weights."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from deployments.models.zits import Zits
from deployments.models.zits_positions import encode_positions
from inpaint.arrays import Images, Masks
from inpaint.catalog import Catalog
from inpaint.errors import WeightsCorruptError
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.resources import configs_dir
from tests.standins import md5_of
from tests.standins.damage import DAMAGES
from tests.standins.lama import write_lama_torchscript
from tests.standins.zits import ZITS_FILES, random_zits, write_zits_torchscript

[SPEC] = [
    spec for spec in Catalog.from_dirs([configs_dir() / "models"]).models if spec.name == "zits"
]
PARAMS = EraseParams()
WITHOUT = EraseParams(zits_wireframe=False)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_zits_torchscript(tmp_path_factory.mktemp("zits"))


@pytest.fixture(scope="module")
def model(paths):
    return load(paths)


def load(paths: list[Path]) -> Zits:
    return Zits.load(SPEC, paths, LoadOptions())


def scene(side: int, seed: int = 0) -> tuple[Images, Masks]:
    """One picture of noise with a dark and a bright half, and a hole across them."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (1, side, side, 3), np.uint8)
    images[:, :, side // 2 :] += 190
    masks: Masks = np.zeros((1, side, side), np.uint8)
    masks[:, side // 4 : side // 2, side // 3 : side * 3 // 4] = 255
    return images, masks


ONE_LINE = {
    "num_proposals": torch.tensor(1),
    "lines_pred": torch.tensor([[10, 20, 200, 20]]) / 256,
    "lines_score": torch.tensor([0.9]),
}
"""What the wireframe network answers: x, y, x, y in parts of the picture."""


class Listening:
    """Stands for the four networks and keeps what they were given."""

    def __init__(self, painted=0.5, found=None) -> None:
        self.painted = painted
        self.found = found or ONE_LINE

    def wireframe(self, image):
        self.wireframe_got = image
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def edge_line(self, img, edge, line, masks):
        self.edge_line_got = img, edge, line, masks
        return torch.full_like(edge, 3.0), torch.full_like(line, -0.3)

    def upsample(self, structure):
        return structure.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) - 2

    def inpaint(self, *given):
        self.inpaint_got = given
        if isinstance(self.painted, torch.Tensor):
            return self.painted
        return torch.full_like(given[0], self.painted)

    def runner(self) -> Zits:
        return Zits(self.wireframe, self.edge_line, self.upsample, self.inpaint, "cpu")


@pytest.mark.parametrize("side", [256, 320])
def test_painter_gets_picture_holes_structure_and_positions(side):
    images, masks = scene(side)
    masks[0, 0, :4] = 1, 127, 128, 254  # RESIZE makes such values; the last two are holes
    networks = Listening()
    networks.runner().forward(images, masks, PARAMS)
    image, holes, edges, lines, depths, directions = networks.inpaint_got
    scaled = np.array([value / 255 for value in range(256)], np.float32)[images]
    binary = np.where(masks > 127, 255, 0).astype(np.uint8)
    np.testing.assert_array_equal(image.numpy(), scaled.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(holes.numpy(), binary[:, None] / 255)
    assert {tensor.dtype for tensor in (image, holes, edges, lines)} == {torch.float32}
    assert edges.shape == lines.shape == holes.shape
    positions = encode_positions(binary[0])
    np.testing.assert_array_equal(depths.numpy(), positions.depths[None])
    np.testing.assert_array_equal(directions.numpy(), positions.directions[None])
    if side == 256:  # not enlarged: the networks' answers are seen as they are
        assert edges[holes > 0].unique().tolist() == [1]
        inside = lines[holes > 0].unique().tolist()
        assert inside == [pytest.approx(1 / (1 + math.exp(0.25 * 4)))]
        assert lines[0, 0, 20, 10:201].unique().tolist() == [1]


def test_structure_networks_get_the_small_picture():
    images, masks = scene(512)
    networks = Listening()
    networks.runner().forward(images, masks, PARAMS)
    image, edges, lines, holes = networks.edge_line_got
    small = images[0].reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))  # the average of each four
    expected = np.where(holes[0, 0, ..., None] > 0, 0, small / 255 * 2 - 1).transpose(2, 0, 1)
    np.testing.assert_allclose(image[0].numpy(), expected, atol=1 / 255 + 1e-6)
    assert torch.equal(holes, torch.from_numpy(masks[:, None, ::2, ::2] / 255).float())
    assert edges[0, 0, :60, 126:130].any()  # where the halves meet
    assert lines[0, 0, 20, 10:201].unique().tolist() == [1]
    assert networks.wireframe_got.shape == (1, 3, 512, 512)


def test_without_wireframe_there_is_no_structure():
    networks = Listening()
    networks.runner().forward(*scene(256), WITHOUT)
    _, holes, edges, lines, *_ = networks.inpaint_got
    assert not edges.any()
    assert not lines.any()
    assert edges.shape == lines.shape == holes.shape
    assert not hasattr(networks, "wireframe_got")


def test_wireframe_that_finds_no_junctions_means_no_lines():
    networks = Listening(found=RuntimeError("RuntimeError: min(): Expected reduction dim 0 ..."))
    networks.runner().forward(*scene(256), PARAMS)
    assert not networks.edge_line_got[2].any()


@pytest.mark.parametrize("text", ["CUDA error: device-side assert", "can't allocate memory"])
def test_trouble_of_the_device_is_not_taken_for_a_picture_without_lines(text):
    with pytest.raises(RuntimeError, match=text):
        Listening(found=RuntimeError(text)).runner().forward(*scene(256), PARAMS)


@pytest.mark.parametrize(
    ("value", "level"), [(-0.1, 0), (0, 0), (0.5, 127), (0.9999, 254), (1, 255), (1.001, 255)]
)
def test_output_is_clipped_and_truncated(value, level):
    result = Listening(painted=value).runner().forward(*scene(256), WITHOUT)
    assert np.unique(result).tolist() == [level]


def test_output_keeps_the_order_of_axes_and_colours():
    images, masks = scene(256)
    painted = torch.from_numpy((images.astype(np.float32) + 0.5) / 255).permute(0, 3, 1, 2)
    result = Listening(painted=painted).runner().forward(images, masks, WITHOUT)
    np.testing.assert_array_equal(result, images)
    assert result.flags.c_contiguous


def test_standin_answers_depend_on_every_input():
    rng = torch.Generator().manual_seed(0)
    holes = (torch.rand(1, 1, 64, 64, generator=rng) > 0.5).float()
    maps = [torch.rand(1, channels, 64, 64, generator=rng) for channels in (3, 1, 1)]
    codes = [torch.randint(0, 2, (1, 64, 64, *last), generator=rng) for last in ((), (4,))]
    _, edge_line, _, inpaint = random_zits()
    for network, given in (
        (edge_line, [*maps, holes]),
        (inpaint, [maps[0], holes, *maps[1:], *codes]),
    ):
        answers = [network(*given)]
        for place, tensor in enumerate(given):
            changed = [1 - tensor if n == place else other for n, other in enumerate(given)]
            answers.append(network(*changed))
        firsts = [answer[0] if isinstance(answer, tuple) else answer for answer in answers]
        assert not any(torch.equal(firsts[0], other) for other in firsts[1:])


@pytest.mark.parametrize("side", [256, 288, 512, 544])
def test_wireframe_changes_the_answer_at_any_size(model, side):
    images, masks = scene(side)
    answer, without = (model.forward(images, masks, params) for params in (PARAMS, WITHOUT))
    assert answer.shape == images.shape
    assert (answer != without)[masks > 0].mean() > 0.5
    np.testing.assert_array_equal(answer, model.forward(images, masks, PARAMS))


def test_picture_without_junctions_is_answered(model):
    """The stand-in fails on it, as the published network does."""
    images, masks = np.full((1, 256, 256, 3), 90, np.uint8), scene(256)[1]
    wireframe = random_zits()[0]
    with pytest.raises(IndexError):
        wireframe(torch.zeros(1, 3, 512, 512))
    assert model.forward(images, masks, PARAMS).shape == images.shape


@pytest.mark.parametrize("params", [PARAMS, WITHOUT])
@pytest.mark.parametrize("value", [0, 255])
def test_mask_without_hole_or_without_ground_ends(model, params, value):
    images, masks = scene(*[SPEC.size.padded((1, 1))[0]])
    answer = model.forward(images, np.full_like(masks, value), params)
    assert answer.std() > 1


def test_inputs_may_be_read_only_and_stay_unchanged(model):
    images, masks = scene(256)
    before = images.copy(), masks.copy()
    images.flags.writeable = masks.flags.writeable = False
    model.forward(images, masks, PARAMS)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(masks, before[1])


def test_size_rule_is_a_square_of_at_least_256():
    assert SPEC.size.padded((1, 1)) == (256, 256)
    assert SPEC.size.padded((257, 100)) == (288, 288)
    assert not SPEC.batchable


def test_config_names_the_runner_and_iopaints_files():
    assert SPEC.runner == f"{Zits.__module__}:{Zits.__name__}"
    assert tuple(file.url.rpartition("/")[2] for file in SPEC.weights) == ZITS_FILES
    assert [file.env for file in SPEC.weights] == [
        "ZITS_WIRE_FRAME", "ZITS_EDGE_LINE", "ZITS_STRUCTURE_UPSAMPLE", "ZITS_INPAINT"
    ]  # fmt: skip


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("given", range(4))
def test_file_in_another_place_is_refused(paths, place, given):
    files = [paths[given] if n == place else path for n, path in enumerate(paths)]
    if place == given:
        assert isinstance(load(files), Zits)
    else:
        with pytest.raises(WeightsCorruptError, match=paths[given].name.replace(".", r"\.")):
            load(files)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_is_refused_by_name(paths, tmp_path, place, damage):
    spoilt = tmp_path / paths[place].name
    spoilt.write_bytes(DAMAGES[damage](paths[place].read_bytes()))
    with pytest.raises(WeightsCorruptError) as caught:
        load([spoilt if n == place else path for n, path in enumerate(paths)])
    assert spoilt.name in caught.value.detail
    assert str(tmp_path) not in caught.value.detail


@pytest.mark.parametrize("place", range(4))
def test_file_of_another_model_is_refused(paths, tmp_path, place):
    other = write_lama_torchscript(tmp_path / "other.pt")
    with pytest.raises(WeightsCorruptError, match=r"other\.pt"):
        load([other if n == place else path for n, path in enumerate(paths)])


def test_standin_weights_depend_on_the_seed_only(tmp_path):
    sums = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        (tmp_path / name).mkdir()
        sums.append([md5_of(p) for p in write_zits_torchscript(tmp_path / name, seed=seed)])
    assert sums[0] == sums[1]
    assert not set(sums[0]) & set(sums[2])
