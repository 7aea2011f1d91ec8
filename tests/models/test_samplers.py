"""IOPaint's nineteen samplers."""

from typing import get_args

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, PNDMScheduler

from deployments.models.samplers import SCHEDULERS, make_scheduler
from inpaint.params import Sampler
from tests.models.painting import difference, load, paint
from tests.standins.diffusion import NOISE

SAMPLERS = get_args(Sampler)
CONFIG = PNDMScheduler(**{k: v for k, v in NOISE.items() if k != "clip_sample"}).config


@pytest.fixture(scope="module")
def pictures(diffusion_folder):
    model = load(diffusion_folder("sd15", 9))
    return {name: paint(model, sd_sampler=name, sd_steps=6) for name in SAMPLERS}


def test_every_name_of_the_api_is_there():
    assert tuple(SCHEDULERS) == SAMPLERS
    assert len(SAMPLERS) == 19


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("family", "channels"), [("sd15", 4), ("sdxl", 9), ("sdxl", 4)])
def test_every_sampler_paints(diffusion_folder, family, channels, sampler):
    model = load(diffusion_folder(family, channels))
    painted = paint(model, sd_sampler=sampler, sd_steps=3, sd_strength=0.7)
    assert 10 < painted.std() < 110


def test_samplers_differ(pictures):
    alike = {
        (first, second)
        for first in SAMPLERS
        for second in SAMPLERS
        if first < second and difference(pictures[first], pictures[second]) < 0.05
    }
    assert not alike


def test_samplers_without_noise_agree_in_the_end(diffusion_folder):
    """They solve one equation, so with many steps they come to one picture."""
    model = load(diffusion_folder("sd15", 9))
    names = ("DPM++ 2M", "DPM++ SDE", "Euler", "DDIM", "UniPC")
    few, many = (
        [
            paint(model, sd_sampler=name, sd_steps=steps, sd_guidance_scale=1.0, sd_strength=0.5)
            for name in names
        ]
        for steps in (4, 40)
    )

    def spread(painted):
        return max(difference(painted[0], other) for other in painted[1:])

    assert spread(many) < spread(few) / 3


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name.endswith(" Karras")])
def test_karras_samplers_have_karras_sigmas(name):
    """The formula of Karras et al. 2022, equation 5, with rho 7."""
    scheduler = make_scheduler(name, dict(CONFIG))
    scheduler.set_timesteps(10)
    sigmas = np.unique(np.asarray(scheduler.sigmas, np.float64))[::-1]
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    signal = np.cumprod(1 - betas)
    least, most = (((1 - s) / s) ** 0.5 for s in (signal[0], signal[-1]))
    ramp = np.linspace(0, 1, 10)
    expected = (most ** (1 / 7) + ramp * (least ** (1 / 7) - most ** (1 / 7))) ** 7
    assert scheduler.config.use_karras_sigmas
    for sigma in expected:
        assert np.isclose(sigmas, sigma, rtol=0.02).any()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_checkpoint_says_how_noise_was_spread_and_the_name_says_the_rest(sampler):
    own = EulerDiscreteScheduler(
        beta_start=0.001,
        beta_end=0.013,
        prediction_type="v_prediction",
        use_karras_sigmas=True,
    )
    config = dict(own.config) | {"algorithm_type": "dpmsolver"}
    before = dict(config)
    made = make_scheduler(sampler, config)
    assert made.config.beta_start == 0.001
    assert made.config.prediction_type == "v_prediction"
    assert bool(made.config.get("use_karras_sigmas")) == sampler.endswith("Karras")
    wanted = "sde-dpmsolver++" if sampler.startswith("DPM++ 2M SDE") else "dpmsolver++"
    assert made.config.get("algorithm_type", wanted) == wanted
    assert config == before


def test_unipc_ends_at_the_least_noise_of_training():
    scheduler = make_scheduler("UniPC", dict(CONFIG))
    scheduler.set_timesteps(5)
    assert float(scheduler.sigmas[-1]) == pytest.approx((0.00085 / (1 - 0.00085)) ** 0.5, rel=1e-4)


def test_ancestral_dpm2_draws_noise_at_every_evaluation():
    """As in the diffusers of IOPaint's time: so a seed means the same picture."""
    scheduler = make_scheduler("DPM2 a", dict(CONFIG))
    scheduler.set_timesteps(4)
    generator = torch.Generator().manual_seed(5)
    latents = torch.zeros(1, 4, 2, 2)
    for timestep in scheduler.timesteps:
        latents = scheduler.step(torch.zeros_like(latents), timestep, latents, generator)[0]
    expected = torch.Generator().manual_seed(5)
    for _ in scheduler.timesteps:
        torch.randn(1, 4, 2, 2, generator=expected)
    assert torch.equal(generator.get_state(), expected.get_state())
