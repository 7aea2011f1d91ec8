"""Latent diffusion's schedule and samplers against their formulas."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from deployments.models.ldm_samplers import (
    Step,
    advance,
    denoise_ddim,
    denoise_plms,
    embed_timestep,
    extrapolate,
    plan_steps,
    signal_shares,
)

SAMPLERS = [denoise_ddim, denoise_plms]


def share_by_logarithms(timestep: int) -> float:
    """The product of 1 - beta up to `timestep`; the roots of beta grow evenly."""
    first, last = math.sqrt(0.0015), math.sqrt(0.0205)
    betas = [(first + (last - first) * n / 999) ** 2 for n in range(timestep + 1)]
    return math.exp(math.fsum(math.log1p(-beta) for beta in betas))


def timesteps(count: int) -> list[int]:
    return [step.timestep for step in plan_steps(count)]


class Listening:
    """A network that answers `values(latents, timestep)` and writes down what it was asked."""

    def __init__(self, values):
        self.values = values
        self.asked = []

    def __call__(self, latents, timestep):
        self.asked.append(timestep)
        return self.values(latents, timestep)


def latents(seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 3, 4, 5, generator=torch.Generator().manual_seed(seed))


def test_signal_shares_are_the_products_of_what_each_step_keeps():
    shares = signal_shares()
    assert (shares.shape, shares.dtype) == ((1000,), torch.float32)
    for timestep in (0, 1, 17, 500, 999):
        assert shares[timestep].item() == pytest.approx(share_by_logarithms(timestep), rel=1e-6)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, [1]),
        (2, [501, 1]),
        (3, [667, 334, 1]),
        (5, [801, 601, 401, 201, 1]),
        (9, [889, 778, 667, 556, 445, 334, 223, 112, 1]),
        (20, list(range(951, 0, -50))),
        (27, list(range(963, 0, -37))),
        (30, list(range(991, 0, -33))),  # 31 of them
        (37, list(range(973, 0, -27))),
        (50, list(range(981, 0, -20))),
        (400, list(range(999, 0, -2))),
        (1000, list(range(999, 0, -1))),
    ],
)
def test_timesteps_are_evenly_spaced(count, expected):
    assert timesteps(count) == expected


def test_any_number_of_steps_stays_within_the_schedule():
    for count in range(1, 1001):
        found = timesteps(count)
        spacing = 1000 // count
        assert found[-1] == 1
        assert {before - after for before, after in pairwise(found)} <= {spacing}
        assert found[0] <= 999 < found[0] + spacing
        assert len(found) >= min(count, 999)


def test_each_step_ends_where_the_next_begins_and_the_last_at_the_first_trained_one():
    shares = signal_shares()
    steps = plan_steps(30)
    assert [step.signal for step in steps] == [shares[step.timestep].item() for step in steps]
    assert [a.next_signal for a in steps[:-1]] == [b.signal for b in steps[1:]]
    assert steps[-1].next_signal == shares[0].item()


@pytest.mark.parametrize("timestep", [0, 1, 501, 999])
def test_embedding_is_cosines_and_sines_of_falling_frequencies(timestep):
    embedded = embed_timestep(timestep, 2, "cpu")
    angles = [timestep * 10_000 ** (-n / 128) for n in range(128)]
    expected = [math.cos(angle) for angle in angles] + [math.sin(angle) for angle in angles]
    assert (embedded.shape, embedded.dtype) == ((2, 256), torch.float32)
    np.testing.assert_allclose(embedded[0].numpy(), expected, atol=2e-4)
    assert torch.equal(embedded[0], embedded[1])


def test_step_follows_the_formula():
    before, noise = latents(1), latents(2)
    after = advance(before, noise, Step(500, signal=0.3, next_signal=0.6))
    picture = (before.double() - math.sqrt(0.7) * noise.double()) / math.sqrt(0.3)
    expected = math.sqrt(0.6) * picture + math.sqrt(0.4) * noise.double()
    np.testing.assert_allclose(after.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("count", [1, 2, 3, 20, 999])
def test_network_that_knows_the_noise_gets_its_picture_back(sampler, count):
    """Whatever the number of steps: all predictions agree, so nothing is extrapolated wrongly."""
    steps = plan_steps(count)
    picture, noise = latents(1), latents(2)
    start = math.sqrt(steps[0].signal) * picture + math.sqrt(1 - steps[0].signal) * noise
    share = signal_shares()[0].item()
    end = math.sqrt(share) * picture + math.sqrt(1 - share) * noise
    result = sampler(lambda latents, timestep: noise, start, steps)
    np.testing.assert_allclose(result.numpy(), end.numpy(), atol=2e-3)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_extrapolation_integrates_polynomials_exactly(order):
    """Adams-Bashforth of order k: the mean over the next step of a polynomial of degree k - 1."""
    for degree in range(order):
        now, *past = (torch.tensor([float(-n)]) ** degree for n in range(order))
        assert extrapolate(now, past[::-1]).item() == pytest.approx(1 / (degree + 1), abs=1e-5)


@pytest.mark.parametrize("past", [0, 4])
def test_extrapolation_takes_one_to_three_predictions(past):
    with pytest.raises(ValueError, match="1 to 3"):
        extrapolate(torch.ones(1), [torch.ones(1)] * past)


def test_ddim_asks_once_for_each_step():
    network = Listening(lambda latents, timestep: 0.1 * latents)
    denoise_ddim(network, latents(), plan_steps(5))
    assert network.asked == [801, 601, 401, 201, 1]


def test_plms_asks_twice_for_its_first_step_only():
    network = Listening(lambda latents, timestep: 0.1 * latents)
    denoise_plms(network, latents(), plan_steps(5))
    assert network.asked == [801, 601, 601, 401, 201, 1]


def test_plms_with_one_step_asks_for_it_twice():
    network = Listening(lambda latents, timestep: 0.1 * latents)
    denoise_plms(network, latents(), plan_steps(1))
    assert network.asked == [1, 1]


def test_plms_steps_along_the_mean_first_and_then_along_what_it_extrapolates():
    """Predictions that depend on the timestep only, so that each step can be told in advance."""
    steps = plan_steps(5)
    told = {step.timestep: latents(step.timestep) for step in steps}
    result = denoise_plms(lambda latents, timestep: told[timestep], latents(), steps)
    a, b, c, d, e = (told[step.timestep] for step in steps)
    directions = [
        (a + b) / 2,
        (3 * b - a) / 2,
        (23 * c - 16 * b + 5 * a) / 12,
        (55 * d - 59 * c + 37 * b - 9 * a) / 24,
        (55 * e - 59 * d + 37 * c - 9 * b) / 24,
    ]
    expected = latents()
    for direction, step in zip(directions, steps, strict=True):
        expected = advance(expected, direction, step)
    np.testing.assert_allclose(result.numpy(), expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_noise_is_left_as_it_was(sampler):
    noise = latents()
    sampler(lambda latents, timestep: 0.5 * latents, noise, plan_steps(3))
    assert torch.equal(noise, latents())
