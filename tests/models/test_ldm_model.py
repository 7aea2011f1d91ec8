"""Latent diffusion's runner: stage by stage with networks that listen, then on random weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from deployments.models.ldm import Ldm, draw_noise
from deployments.models.ldm_samplers import embed_timestep, plan_steps
from inpaint.arrays import Images, Masks
from inpaint.catalog import Catalog
from inpaint.errors import WeightsCorruptError
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.resources import configs_dir
from tests.standins import md5_of
from tests.standins.damage import DAMAGES
from tests.standins.lama import write_lama_torchscript
from tests.standins.ldm import LDM_FILES, write_ldm_torchscript

[SPEC] = [
    spec for spec in Catalog.from_dirs([configs_dir() / "models"]).models if spec.name == "ldm"
]
QUICK = EraseParams(ldm_steps=3, seed=42)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_ldm_torchscript(tmp_path_factory.mktemp("ldm"))


@pytest.fixture(scope="module")
def model(paths):
    return load(paths)


def load(paths: list[Path], **options) -> Ldm:
    return Ldm.load(SPEC, paths, LoadOptions(**options))


def batch(count: int, height: int, width: int, seed: int = 0) -> tuple[Images, Masks]:
    """Images of noise, each with a hole of its own."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    masks: Masks = np.zeros((count, height, width), np.uint8)
    for index, mask in enumerate(masks):
        mask[height // 4 : height // 2 + index, width // 4 : width // 2] = 255
    return images, masks


class Listening:
    """Stands for the three networks and keeps what they were given."""

    def __init__(self, painted: Callable[[Tensor], Tensor] = lambda latents: latents) -> None:
        self.encoded: list[Tensor] = []
        self.denoised: list[tuple[Tensor, ...]] = []
        self.decoded: list[Tensor] = []
        self.painted = painted

    def encode(self, image: Tensor) -> Tensor:
        self.encoded.append(image)
        return image[:, :, ::4, ::4] + 10

    def denoise(self, *given: Tensor) -> Tensor:
        self.denoised.append(given)
        return 0.9 * given[0]

    def decode(self, latents: Tensor) -> Tensor:
        self.decoded.append(latents)
        return self.painted(latents.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3))

    def runner(self) -> Ldm:
        return Ldm(self.encode, self.decode, self.denoise, 42, LoadOptions())


def test_encoder_gets_the_known_pixels_and_zero_in_the_holes():
    images, masks = batch(2, 32, 64)
    masks[0, 0, :4] = 1, 127, 128, 254  # RESIZE makes such values; the last two are holes
    networks = Listening()
    networks.runner().forward(images, masks, QUICK)
    [given] = networks.encoded
    scaled = np.array([value / 255 for value in range(256)], np.float32)[images]
    expected = np.where(masks[..., None] >= 128, np.float32(-1), scaled * 2 - 1)
    assert given.dtype == torch.float32
    np.testing.assert_array_equal(given.numpy(), expected.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("sampler", ["ddim", "plms"])
def test_diffusion_network_gets_latents_timestep_and_what_is_known(sampler):
    images, masks = batch(2, 32, 64)
    networks = Listening()
    networks.runner().forward(images, masks, QUICK.model_copy(update={"ldm_sampler": sampler}))
    encoded = networks.encoded[0][:, :, ::4, ::4] + 10
    holes = np.where(masks[:, None, ::4, ::4] >= 128, 1, -1)  # the nearest pixel of each four
    steps = plan_steps(3)
    asked = [steps[0], *([steps[1]] if sampler == "plms" else []), *steps[1:]]
    assert len(networks.denoised) == len(asked)
    for step, (latents, embedded, known) in zip(asked, networks.denoised, strict=True):
        assert latents.shape == (2, 3, 8, 16)
        assert torch.equal(embedded, embed_timestep(step.timestep, 2, "cpu"))
        assert torch.equal(known[:, :3], encoded)
        np.testing.assert_array_equal(known[:, 3:].numpy(), holes)


def test_first_latents_are_what_torch_draws_after_the_seed():
    networks = Listening()
    networks.runner().forward(*batch(2, 32, 64), QUICK)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(42)
        expected = torch.randn(1, 3, 8, 16)
    for latents in networks.denoised[0][0]:
        assert torch.equal(latents, expected[0])


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3, 8, 8), (1, 3, 61, 127)])
@pytest.mark.parametrize("seed", [0, 42, 2**31 - 1])
def test_noise_is_what_torch_draws_after_the_seed(shape, seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expected = torch.randn(shape)
    assert torch.equal(draw_noise(shape, seed), expected)


def test_decoder_gets_the_denoised_latents():
    networks = Listening()
    networks.runner().forward(*batch(1, 32, 64), EraseParams(ldm_steps=1, ldm_sampler="ddim"))
    [step] = plan_steps(1)
    [latents] = networks.decoded
    noise = draw_noise((1, 3, 8, 16), 42).double()
    picture = (noise - (1 - step.signal) ** 0.5 * 0.9 * noise) / step.signal**0.5
    expected = step.next_signal**0.5 * picture + (1 - step.next_signal) ** 0.5 * 0.9 * noise
    np.testing.assert_allclose(latents.numpy(), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("value", "level"), [(-3, 0), (-1, 0), (0, 127), (0.9999, 254), (1, 255), (3, 255)]
)
def test_output_is_clipped_and_truncated(value, level):
    networks = Listening(lambda image: torch.full_like(image, value))
    result = networks.runner().forward(*batch(1, 32, 32), QUICK)
    assert np.unique(result).tolist() == [level]


def test_output_keeps_the_order_of_axes_and_colours():
    images, masks = batch(2, 32, 64)
    painted = torch.from_numpy((images.astype(np.float32) + 0.5) / 255 * 2 - 1)
    networks = Listening(lambda image: painted.permute(0, 3, 1, 2))
    result = networks.runner().forward(images, masks, QUICK)
    np.testing.assert_array_equal(result, images)
    assert result.flags.c_contiguous


@pytest.mark.parametrize("sampler", ["ddim", "plms"])
@pytest.mark.parametrize("steps", [1, 2, 3, 9, 27, 37, 50, 1000])
def test_any_number_of_steps_is_answered(model, sampler, steps):
    images, masks = batch(1, 32, 32)
    params = EraseParams(ldm_steps=steps, ldm_sampler=sampler, seed=1)
    answer = model.forward(images, masks, params)
    assert answer.shape == images.shape
    assert 5 < answer.std() < 120  # neither one colour nor all black and white


def test_many_steps_of_both_samplers_lead_to_the_same_picture(model):
    """Both solve one equation, so their error falls with the number of steps."""
    images, masks = batch(1, 32, 64)

    def difference(steps: int) -> float:
        ddim, plms = (
            model.forward(images, masks, EraseParams(ldm_steps=steps, ldm_sampler=sampler, seed=1))
            for sampler in ("ddim", "plms")
        )
        return float(np.abs(ddim.astype(int) - plms).mean())

    assert difference(500) < 0.5 < difference(5)


def test_seed_decides_the_answer(model):
    images, masks = batch(1, 32, 64)
    first, again, other, own = (
        model.forward(images, masks, EraseParams(ldm_steps=2, seed=seed))
        for seed in (7, 7, 8, None)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).max() > 5
    stated = model.forward(images, masks, EraseParams(ldm_steps=2, seed=SPEC.default_seed))
    np.testing.assert_array_equal(own, stated)


def test_torchs_own_generator_is_left_alone(model):
    before = torch.get_rng_state()
    model.forward(*batch(1, 32, 32), QUICK)
    assert torch.equal(torch.get_rng_state(), before)


def test_batch_equals_singles(model):
    images, masks = batch(3, 32, 64)
    together = model.forward(images, masks, QUICK)
    alone = [model.forward(images[i : i + 1], masks[i : i + 1], QUICK)[0] for i in range(3)]
    assert np.abs(together.astype(int) - np.stack(alone)).max() <= 1


def test_inputs_may_be_read_only_and_stay_unchanged(model):
    images, masks = batch(1, 32, 32)
    before = images.copy(), masks.copy()
    images.flags.writeable = masks.flags.writeable = False
    model.forward(images, masks, QUICK)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(masks, before[1])


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("sampler", ["ddim", "plms"])
def test_half_precision_gives_nearly_the_same_picture(paths, model, precision, sampler):
    images, masks = batch(1, 32, 64)
    params = EraseParams(ldm_steps=5, ldm_sampler=sampler, seed=1)
    half = load(paths, precision=precision).forward(images, masks, params)
    difference = np.abs(half.astype(int) - model.forward(images, masks, params))
    assert 0 < difference.mean() < 3


def test_size_rule_is_what_five_halvings_need():
    assert SPEC.size.padded((1, 1)) == (32, 32)
    assert SPEC.size.padded((33, 64)) == (64, 64)


def test_config_names_the_runner_and_iopaints_files():
    assert SPEC.runner == f"{Ldm.__module__}:{Ldm.__name__}"
    assert tuple(file.url.rpartition("/")[2] for file in SPEC.weights) == LDM_FILES
    assert [file.env for file in SPEC.weights] == ["LDM_ENCODE", "LDM_DECODE", "LDM_DIFFUSION"]


def test_files_in_another_order_are_refused(paths):
    encoder, decoder, diffusion = paths
    for wrong, name in [
        ([decoder, encoder, diffusion], decoder.name),
        ([encoder, encoder, diffusion], encoder.name),
        ([encoder, decoder, decoder], decoder.name),
        ([diffusion, decoder, encoder], diffusion.name),
    ]:
        with pytest.raises(WeightsCorruptError, match=name.replace(".", r"\.")):
            load(wrong)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_is_refused_by_name(paths, tmp_path, place, damage):
    spoilt = tmp_path / paths[place].name
    spoilt.write_bytes(DAMAGES[damage](paths[place].read_bytes()))
    with pytest.raises(WeightsCorruptError) as caught:
        load([spoilt if n == place else path for n, path in enumerate(paths)])
    assert spoilt.name in caught.value.detail
    assert str(tmp_path) not in caught.value.detail


@pytest.mark.parametrize("place", [0, 1, 2])
def test_file_of_another_model_is_refused(paths, tmp_path, place):
    other = write_lama_torchscript(tmp_path / "other.pt")
    with pytest.raises(WeightsCorruptError, match=r"other\.pt"):
        load([other if n == place else path for n, path in enumerate(paths)])


def test_standin_weights_depend_on_the_seed_only(tmp_path):
    sums = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        (tmp_path / name).mkdir()
        sums.append([md5_of(p) for p in write_ldm_torchscript(tmp_path / name, seed=seed)])
    assert sums[0] == sums[1]
    assert not set(sums[0]) & set(sums[2])
