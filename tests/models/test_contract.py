"""What every erase model that is shipped must hold, whatever its network is.

The weights are small and random, in the published formats. What one model does beyond the contract
stands in a test file of its own.
"""

import asyncio
import random
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from deployments.erase import EraseReplica
from deployments.family import FamilySetup
from deployments.runners import load_runner
from deployments.weights import WeightsStore
from inpaint.arrays import Images, Masks, Size
from inpaint.boxes import Box
from inpaint.params import EraseParams
from inpaint.plans import HDStrategy, StrategyOptions, plan
from inpaint.protocols import InpaintModel, LoadOptions
from inpaint.specs import ModelSpec
from inpaint.tiles import cut
from tests.standins.catalog import WRITERS, erase_models, stand_in_specs, write_stand_ins

SPECS = erase_models()
NAMES = [spec.name for spec in SPECS]
BATCHABLE = [spec.name for spec in SPECS if spec.batchable]
WITH_A_SEED = [spec.name for spec in SPECS if spec.default_seed is not None]

STATED = {"ldm_steps": 2, "seed": 5}
"""Parameters that most tests run with: few steps, to be quick."""

OTHERWISE = {
    "cv2_flag": "INPAINT_TELEA",
    "cv2_radius": 11,
    "ldm_steps": 4,
    "ldm_sampler": "ddim",
    "zits_wireframe": False,
    "seed": 6,
}
"""For each parameter a value that must give other pixels than STATED and the defaults."""

NEAR_EXACT = 1
"""Levels that a batch may differ by from its images alone: the order of float sums changes."""

SIZES = [(1, 1), (17, 31), (512, 513), (1024, 256)]
"""(height, width): the smallest picture, below every minimum, across 512 by one, longer than it."""


@dataclass(frozen=True)
class Loaded:
    """A model and what its YAML says of it."""

    spec: ModelSpec
    model: InpaintModel

    def forward(self, images: Images, masks: Masks, **params) -> Images:
        return self.model.forward(images, masks, params_of(self.spec, **params))


def params_of(spec: ModelSpec, **params) -> EraseParams:
    """STATED and `params`, as far as the model reads them."""
    given = STATED | params
    return EraseParams(**{name: value for name, value in given.items() if name in spec.reads})


def scene(height: int, width: int, seed: int = 0) -> tuple[Images, Masks]:
    """One picture with structure and noise, one hole; read-only, as tiles arrive."""
    rng = np.random.default_rng(seed)
    ramp = np.add.outer(np.arange(height) * 97 // height, np.arange(width) * 97 // width)
    image = ramp[..., None] + rng.integers(0, 60, (height, width, 3))
    image[: height // 2, : width // 3] += 60
    mask = np.zeros((height, width), np.uint8)
    mask[height // 3 : height // 2 + 1, width // 4 : width // 2 + 1] = 255
    images, masks = image.astype(np.uint8)[None], mask[None]
    images.flags.writeable = masks.flags.writeable = False
    return images, masks


def batch(spec: ModelSpec, count: int) -> tuple[Images, Masks]:
    """Several scenes of the smallest size that holds 24x40."""
    scenes = [scene(*spec.size.padded((24, 40)), seed) for seed in range(count)]
    images, masks = (np.concatenate(arrays) for arrays in zip(*scenes, strict=True))
    return images, masks


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_stand_ins(folder)
    return folder


@pytest.fixture(scope="module", params=NAMES)
def loaded(request, model_dir):
    [spec] = [spec for spec in stand_in_specs(model_dir) if spec.name == request.param]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    weights = WeightsStore(model_dir).verified(spec)
    yield Loaded(spec, load_runner(spec).load(spec, weights, LoadOptions()))
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def replica(loaded, model_dir):
    async def report(what):
        pass

    setup = FamilySetup("Erase", (loaded.spec,), "cpu", model_dir=model_dir)
    replica = EraseReplica(setup, "replica-1", report)
    replica.reconfigure({"threads": 1})
    return replica


@pytest.fixture(scope="module")
def answer(loaded):
    """The answer to batch(spec, 1), which several tests compare with."""
    return loaded.forward(*batch(loaded.spec, 1))


def test_every_shipped_erase_model_is_here():
    assert sorted(WRITERS) == sorted(NAMES)


def test_answer_is_a_new_array_of_the_pictures_shape_and_type(loaded, answer):
    images, _ = batch(loaded.spec, 1)
    assert (answer.shape, answer.dtype) == (images.shape, np.uint8)
    assert answer.flags.c_contiguous
    assert not np.shares_memory(answer, images)


def test_hole_is_repainted_from_the_picture_and_the_mask(loaded, answer):
    images, masks = batch(loaded.spec, 1)
    hole = masks > 0
    assert (answer[hole] != images[hole]).any()
    brighter = np.where(hole[..., None], images, 255 - images)
    assert (loaded.forward(brighter, masks)[hole] != answer[hole]).any()
    smaller = masks.copy()
    smaller[:, :, : smaller.shape[2] * 3 // 8] = 0
    assert (loaded.forward(images, smaller)[smaller > 0] != answer[smaller > 0]).any()


def test_answer_depends_on_nothing_but_the_request(loaded, answer):
    images, masks = batch(loaded.spec, 1)
    loaded.forward(255 - images, masks, seed=77)  # another request in between
    np.testing.assert_array_equal(loaded.forward(images, masks), answer)


def test_each_parameter_that_is_read_changes_the_answer(loaded, answer):
    images, masks = batch(loaded.spec, 1)
    for name in loaded.spec.reads:
        again = loaded.forward(images, masks, **{name: OTHERWISE[name]})
        assert (again != answer)[masks > 0].any(), name


def test_parameters_that_are_not_read_do_not_change_the_answer(loaded, answer):
    images, masks = batch(loaded.spec, 1)
    stated = params_of(loaded.spec)
    others = {name: value for name, value in OTHERWISE.items() if name not in loaded.spec.reads}
    again = loaded.model.forward(images, masks, stated.model_copy(update=others))
    np.testing.assert_array_equal(again, answer)


@pytest.mark.parametrize("loaded", WITH_A_SEED, indirect=True)
def test_seed_of_its_yaml_is_the_one_it_takes_by_itself(loaded):
    images, masks = batch(loaded.spec, 1)
    stated = params_of(loaded.spec, seed=loaded.spec.default_seed)
    absent = stated.model_copy(update={"seed": None})
    np.testing.assert_array_equal(
        loaded.model.forward(images, masks, absent), loaded.model.forward(images, masks, stated)
    )


def test_inputs_stay_as_they_were(loaded):
    images, masks = scene(*loaded.spec.size.padded((24, 40)))
    before = images.copy(), masks.copy()
    loaded.forward(images, masks)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(masks, before[1])


@pytest.mark.parametrize("loaded", BATCHABLE, indirect=True)
def test_batch_is_each_image_alone(loaded):
    images, masks = batch(loaded.spec, 2)
    together = loaded.forward(images, masks)
    alone = [loaded.forward(images[i : i + 1], masks[i : i + 1])[0] for i in range(2)]
    assert np.abs(together.astype(int) - np.stack(alone)).max() <= NEAR_EXACT


def test_random_numbers_of_the_process_are_left_alone(loaded):
    random.seed(1)
    np.random.seed(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
        loaded.forward(*batch(loaded.spec, 1))
        assert random.getstate() == before[0]
        np.testing.assert_array_equal(np.random.get_state()[1], before[1])
        assert torch.equal(torch.get_rng_state(), before[2])


@pytest.mark.parametrize("value", [0, 255], ids=["empty", "full"])
def test_mask_without_hole_or_without_ground_is_answered(loaded, value):
    images, masks = batch(loaded.spec, 1)
    answer = loaded.forward(images, np.full_like(masks, value))
    assert (answer.shape, answer.dtype) == (images.shape, np.uint8)


def test_grey_mask_is_answered(loaded):
    """RESIZE makes such masks."""
    images, masks = batch(loaded.spec, 1)
    grey = np.random.default_rng(0).integers(0, 256, masks.shape, np.uint8)
    assert loaded.forward(images, grey).shape == images.shape


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[1]}x{size[0]}")
async def test_picture_of_any_size_is_answered_through_the_replica(loaded, replica, size: Size):
    """Cut and padded as in a request."""
    images, masks = scene(*size)
    hole = Box(size[1] // 4, size[0] // 3, size[1] // 2 + 1, size[0] // 2 + 1)
    options = StrategyOptions(hd_strategy=HDStrategy.ORIGINAL)
    [tile] = plan(size, [hole], loaded.spec.tiling, options).tiles
    piece = cut(images[0], masks[0], tile)
    painted = await asyncio.wait_for(
        replica.paint(loaded.spec.name, piece.pixels, piece.holes, params_of(loaded.spec)), 60
    )
    assert (painted.image.shape, painted.image.dtype) == (piece.pixels.shape, np.uint8)
    assert painted.image.flags.c_contiguous
