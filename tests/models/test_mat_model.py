"""mat's runner and network, on narrow random weights in the published form."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from deployments.models import mat
from deployments.models.mat import Mat
from deployments.models.mat_first_stage import keep_map
from deployments.models.mat_network import MatNetwork, MatWidths
from inpaint.arrays import Images, Masks
from inpaint.errors import WeightsCorruptError
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec
from tests.standins.mat import NARROW, random_mat, write_mat

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data"
SPEC = ModelSpec.model_validate(yaml.safe_load((ROOT / "configs/models/mat.yaml").read_text()))
PARAMS = EraseParams()

SMALL = NARROW | {"second_stage": (4, 4, 6, 8)}
"""Widths of a network for pictures of 128 px."""

like_the_reference = pytest.mark.skipif(
    not torch.backends.mkl.is_available(), reason="torch draws dropped features otherwise"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load(write_mat(tmp_path_factory.mktemp("mat"), widths=SMALL))


@pytest.fixture(scope="module")
def network():
    return random_mat(SMALL)


def load(path: Path, **options) -> Mat:
    return Mat.load(SPEC, [path], LoadOptions(**options))


def batch(count: int, height: int = 128, width: int = 128, seed: int = 0) -> tuple[Images, Masks]:
    """Images of noise, each with a hole of its own."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    masks: Masks = np.zeros((count, height, width), np.uint8)
    for index, mask in enumerate(masks):
        mask[height // 4 : height // 2 + 8 * index, width // 4 : width // 2] = 255
    return images, masks


def answer_with(values: mat.Network) -> tuple[Mat, list[tuple[Tensor, Tensor, Tensor, Tensor]]]:
    """A runner whose network answers `values`, and the list of what it was given."""
    given = []

    def network(image: Tensor, valid: Tensor, z: Tensor, random: torch.Generator) -> Tensor:
        given.append((image, valid, z, torch.rand(3, generator=random)))
        return values(image, valid, z, random)

    return Mat(network, 512, 240, "cpu", torch.float32), given


def same(image: Tensor, *_: object) -> Tensor:
    return image


def hidden(image: Tensor, valid: Tensor) -> Tensor:
    """`image` with other values in the hole."""
    return torch.where(valid == 0, -image + 0.25, image)


def test_network_has_the_published_names_and_shapes():
    """The list: state_dict of IOPaint 1.6's Generator as it builds it for mat."""
    published = json.loads((DATA / "mat_state_dict.json").read_text())
    with torch.device("meta"):
        state = MatNetwork().state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == published
    assert list(state) == list(published)


@like_the_reference
def test_network_paints_what_iopaints_does(network):
    """mat_picture.json says how IOPaint's own class made it, from the same random weights."""
    reference = np.array(json.loads((DATA / "mat_picture.json").read_text())["blocks"])
    rng = np.random.RandomState(7)
    image = torch.from_numpy(rng.uniform(-1, 1, (1, 3, 128, 128)).astype(np.float32))
    valid = torch.ones(1, 1, 128, 128)
    valid[:, :, 20:100, 30:90] = valid[:, :, :, :9] = 0
    z = torch.from_numpy(np.random.RandomState(240).randn(1, 16)).float()
    with torch.inference_mode():
        answer = network(image, valid, z, torch.Generator().manual_seed(240))
    blocks = answer[0].reshape(3, 16, 8, 16, 8).mean((2, 4)).numpy()
    np.testing.assert_allclose(blocks, reference, atol=2e-5)
    assert reference[:, 3:12, 4:11].std() > 0.1  # the hole has something to compare


def test_network_neither_sees_the_hole_nor_changes_the_rest(network):
    image, valid, z = torch.rand(1, 3, 128, 128), torch.ones(1, 1, 128, 128), torch.rand(1, 16)
    valid[:, :, 10:90, 30:100] = 0
    answers = [
        network(picture, valid, z, torch.Generator().manual_seed(0))
        for picture in (image, hidden(image, valid))
    ]
    known = (valid == 1).expand_as(image)
    assert torch.equal(answers[0][known], image[known])
    assert torch.equal(*answers)


@pytest.mark.parametrize("size", [(128, 128), (256, 128), (256, 256)])
def test_network_takes_multiples_of_its_size(network, size):
    image, valid = torch.rand(2, 3, *size), torch.ones(2, 1, *size)
    valid[:, :, :64] = 0
    answer = network(image, valid, torch.rand(1, 16), torch.Generator())
    assert answer.shape == image.shape
    assert answer.isfinite().all()


@like_the_reference
@pytest.mark.parametrize("seed", [0, 240])
def test_features_are_kept_as_torchs_dropout_keeps_them(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first, second = (
            torch.nn.functional.dropout(torch.full((1, *shape), 0.5), training=True)
            for shape in ((64, 12), (8, 4, 4))
        )
    random = torch.Generator().manual_seed(seed)
    assert torch.equal(keep_map((64, 12), first, random).float(), first)
    assert torch.equal(keep_map((8, 4, 4), second, random).float(), second)


def test_input_is_signed_rgb_and_a_map_of_known_pixels():
    images, masks = batch(2, 128, 256)
    masks[0, 0, :5] = 0, 1, 127, 128, 254
    runner, given = answer_with(same)
    runner.forward(images, masks, PARAMS)
    [(image, valid, _, _)] = given
    levels = np.array([value / 255 for value in range(256)], np.float32) * 2 - 1
    assert image.dtype == valid.dtype == torch.float32
    np.testing.assert_array_equal(image.numpy(), levels[images].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(valid.numpy(), np.where(masks[:, None] < 128, 1, 0))
    assert valid[0, 0, 0, :5].tolist() == [1, 1, 1, 0, 0]


@pytest.mark.parametrize(("seed", "numpys"), [(None, 240), (240, 240), (0, 0), (5, 5)])
def test_noise_is_what_numpy_and_torch_draw_after_the_seed(seed, numpys):
    runner, given = answer_with(same)
    runner.forward(*batch(1), EraseParams(seed=seed))
    [(_, _, z, drawn)] = given
    state = np.random.get_state()
    np.random.seed(numpys)
    expected = np.random.randn(1, 512)
    np.random.set_state(state)
    np.testing.assert_array_equal(z.numpy(), expected.astype(np.float32))
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(numpys)))


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (-1.2, 0),
        (-1.0, 0),
        (0.0, 128),
        (0.5 / 127.5, 128),
        (0.6 / 127.5, 128),
        (1.0, 255),
        (9, 255),
    ],
)
def test_output_is_rounded_and_clipped(value, level):
    runner, _ = answer_with(lambda image, *_: torch.full_like(image, value))
    assert np.unique(runner.forward(*batch(1), PARAMS)).tolist() == [level]


def test_output_keeps_the_order_of_axes_and_colours():
    images, masks = batch(2, 128, 256)
    runner, _ = answer_with(same)
    result = runner.forward(images, masks, PARAMS)
    np.testing.assert_array_equal(result, images)
    assert result.flags.c_contiguous
    assert result.flags.writeable


def test_runner_gives_the_networks_answer(model, network):
    images, masks = batch(1)
    image = torch.from_numpy(images.astype(np.float32) / 255 * 2 - 1).permute(0, 3, 1, 2)
    valid = torch.from_numpy((masks < 128).astype(np.float32))[:, None]
    z = torch.from_numpy(np.random.RandomState(3).randn(1, 16)).float()
    painted = network(image, valid, z, torch.Generator().manual_seed(3))
    levels = np.clip(np.rint(painted[0].permute(1, 2, 0).numpy() * 127.5 + 127.5), 0, 255)
    result = model.forward(images, masks, EraseParams(seed=3))
    assert np.abs(result[0] - levels).max() <= 1
    assert result[masks > 0].std() > 20  # the stand-in paints something that can be compared


def test_seed_decides_the_hole_and_nothing_else(model):
    images, masks = batch(1)
    first, again, other, default = (
        model.forward(images, masks, EraseParams(seed=seed)) for seed in (1, 1, 2, None)
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(default, model.forward(images, masks, EraseParams(seed=240)))
    assert (first != other)[masks > 0].mean() > 0.5
    np.testing.assert_array_equal(first[masks == 0], images[masks == 0])
    np.testing.assert_array_equal(other[masks == 0], images[masks == 0])


def test_batch_equals_singles(model):
    images, masks = batch(3)
    together = model.forward(images, masks, PARAMS)
    alone = [model.forward(images[i : i + 1], masks[i : i + 1], PARAMS)[0] for i in range(3)]
    assert np.abs(together.astype(int) - np.stack(alone)).max() <= 1


def test_inputs_may_be_read_only_and_stay_unchanged(model):
    images, masks = batch(1)
    before = images.copy(), masks.copy()
    images.flags.writeable = masks.flags.writeable = False
    result = model.forward(images, masks, PARAMS)
    assert (result.shape, result.dtype) == (images.shape, np.uint8)
    assert not np.shares_memory(result, images)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(masks, before[1])


def test_half_precision_is_near_and_for_cuda_only(tmp_path, network):
    """On the CPU, to see that the network's arithmetic stands it; there it runs in float32."""
    images, masks = batch(1)
    path = write_mat(tmp_path, widths=SMALL)
    np.testing.assert_array_equal(
        load(path, precision="fp16").forward(images, masks, PARAMS),
        load(path).forward(images, masks, PARAMS),
    )
    half, full = (
        Mat(random_mat(SMALL).to(dtype), 16, 240, "cpu", dtype)
        for dtype in (torch.float16, torch.float32)
    )
    answers = [runner.forward(images, masks, PARAMS).astype(int) for runner in (half, full)]
    assert np.abs(answers[0] - answers[1]).max() <= 2


def test_config_is_iopaints():
    assert SPEC.runner == f"{Mat.__module__}:{Mat.__name__}"
    assert SPEC.size.padded((513, 100)) == (1024, 1024)
    assert (SPEC.reads, SPEC.default_seed) == (("seed",), 240)


def test_narrow_network_of_the_published_size_tells_its_widths(tmp_path):
    state = torch.load(write_mat(tmp_path), weights_only=True)
    widths = mat.widths_of(state, tmp_path)
    assert widths == MatWidths(**NARROW)
    assert widths.resolution == 512


def test_safetensors_and_wrapped_checkpoints_load(tmp_path, model):
    from safetensors.torch import save_file

    images, masks = batch(1)
    state = random_mat(SMALL).state_dict()
    save_file(state, tmp_path / "mat.safetensors")
    torch.save({"state_dict": state}, tmp_path / "mat.ckpt")
    for name in ("mat.safetensors", "mat.ckpt"):
        np.testing.assert_array_equal(
            load(tmp_path / name).forward(images, masks, PARAMS),
            model.forward(images, masks, PARAMS),
        )


ENCODER = "synthesis.enc.EncConv_Block_{0}x{0}.conv0.weight"
INNER = "synthesis.first_stage.tran.1.blocks.1.attn_mask"
OTHER_CONTENTS = {
    "nothing": lambda state: {},
    "other-network": lambda state: torch.nn.Linear(2, 2).state_dict(),
    "missing": lambda state: {key: value for key, value in state.items() if key != INNER},
    "unknown": lambda state: state | {"noise_const": torch.zeros(1)},
    "reshaped": lambda state: state | {INNER: torch.zeros(3)},
    "no-first-stage": lambda state: {k: v for k, v in state.items() if k != mat.FIRST_STAGE_KEY},
    "heads-do-not-fit": lambda state: state | {mat.FIRST_STAGE_KEY: torch.zeros(13, 4, 3, 3)},
    "no-width": lambda state: state | {mat.MAPPING_KEY: torch.zeros(12, 0)},
    "flat": lambda state: state | {ENCODER.format(128): torch.zeros(4)},
    "gap": lambda state: {key: v for key, v in state.items() if key != ENCODER.format(32)},
    "uneven": lambda state: state | {ENCODER.format(96): torch.zeros(4, 7, 1, 1)},
    "too-small": lambda state: {key: value for key, value in state.items() if "128x128" not in key},
    "too-large": lambda state: (
        state | {ENCODER.format(size): torch.zeros(4, 4, 3, 3) for size in (256, 512, 1024)}
    ),
}
"""What torch.save may hold besides MAT's weights."""


@pytest.mark.parametrize("content", OTHER_CONTENTS.values(), ids=list(OTHER_CONTENTS))
def test_other_state_dict_is_refused(tmp_path, content):
    path = tmp_path / "mat.pth"
    torch.save(content(random_mat(SMALL).state_dict()), path)
    with pytest.raises(WeightsCorruptError, match=r"mat\.pth cannot be used") as caught:
        load(path)
    assert str(tmp_path) not in caught.value.detail


@pytest.mark.slow
def test_network_of_the_published_size_loads_and_paints(tmp_path):
    images, masks = batch(1, 512, 512)
    path = write_mat(tmp_path, widths={})
    assert path.stat().st_size > 240e6
    result = load(path).forward(images, masks, PARAMS)
    np.testing.assert_array_equal(result[masks == 0], images[masks == 0])
    assert result[masks > 0].std() > 20
