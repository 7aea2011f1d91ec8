"""How latent diffusion gets from noise to a picture: its noise schedule, DDIM and PLMS.

The schedule is latent diffusion's (Rombach et al. 2022, arXiv 2112.10752), the samplers are DDIM
with eta = 0 (Song et al. 2021, arXiv 2010.02502) and its pseudo linear multistep form (Liu et al.
2022, arXiv 2202.09778). Both are deterministic: all randomness is in the noise they start from.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TRAINED_STEPS = 1000
FIRST_BETA, LAST_BETA = 0.0015, 0.0205
"""Share of noise that the first and the last trained step add: inpainting_big's training."""
SD15_BETAS = (0.00085, 0.012)
"""The same of Stable Diffusion 1.5."""

EMBEDDING_DIM = 256
LONGEST_PERIOD = 10_000.0
"""Of the embedding's waves, in trained steps and radians, as in transformers."""

Predict = Callable[[Tensor, int], Tensor]
"""(N, C, h, w) latents and a trained step 0..999, to the noise in them, of the same shape."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a sampler, from more noise to less."""

    timestep: int
    """The trained step that the network is told, 1..999."""
    signal: float
    """Share of the picture in the latents' variance before the step (alpha bar)."""
    next_signal: float
    """The same after the step."""


def signal_shares(betas: tuple[float, float] = (FIRST_BETA, LAST_BETA)) -> Tensor:
    """(1000,) float32: what is left of the picture's variance after each trained step."""
    first, last = betas
    roots = torch.linspace(math.sqrt(first), math.sqrt(last), TRAINED_STEPS, dtype=torch.float64)
    return torch.cumprod(1 - roots**2, dim=0).to(torch.float32)


def plan_steps(count: int, betas: tuple[float, float] = (FIRST_BETA, LAST_BETA)) -> list[Step]:
    """Evenly spaced steps in the order they are taken.

    As in latent diffusion the spacing is 1000 // count, so that there can be more steps than
    asked for: 31 of 30. A last one beyond the schedule, where the spacing divides 999, is left
    out; latent diffusion and IOPaint fail there (count 3, 9, 27, 37 and every one from 501).
    """
    timesteps = [start + 1 for start in range(0, TRAINED_STEPS - 1, TRAINED_STEPS // count)]
    shares = signal_shares(betas).tolist()
    before = [0, *timesteps]  # the last step ends at trained step 0, not at a clean picture
    return [
        Step(timestep, shares[timestep], shares[next_timestep])
        for timestep, next_timestep in reversed(list(zip(timesteps, before, strict=False)))
    ]


def embed_timestep(timestep: int, count: int, device: str | torch.device) -> Tensor:
    """(count, 256) float32, all rows equal: cosines, then sines, of 128 frequencies."""
    half = EMBEDDING_DIM // 2
    exponents = -math.log(LONGEST_PERIOD) * torch.arange(half, dtype=torch.float32) / half
    # The exponential on the CPU on any device, as IOPaint has it.
    angles = torch.full((count, 1), float(timestep), device=device) * exponents.exp().to(device)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def denoise_ddim(predict: Predict, noise: Tensor, steps: Sequence[Step]) -> Tensor:
    """One network call for each step."""
    latents = noise
    for step in steps:
        latents = advance(latents, predict(latents, step.timestep), step)
    return latents


def denoise_plms(predict: Predict, noise: Tensor, steps: Sequence[Step]) -> Tensor:
    """DDIM steps along a direction that is extrapolated from up to four predictions.

    The first step, which has no history, asks the network twice (Heun's method).
    """
    latents = noise
    past: deque[Tensor] = deque(maxlen=3)
    for step in steps:
        predicted = predict(latents, step.timestep)
        if past:
            direction = extrapolate(predicted, past)
        else:
            guess = advance(latents, predicted, step)
            second = steps[min(1, len(steps) - 1)]
            direction = (predicted + predict(guess, second.timestep)) / 2
        latents = advance(latents, direction, step)
        past.append(predicted)
    return latents


def extrapolate(predicted: Tensor, past: Sequence[Tensor]) -> Tensor:
    """Adams-Bashforth of order 2 to 4: `predicted` and 1 to 3 predictions before it, oldest first.

    The order of the operations is IOPaint's: float sums depend on it.
    """
    match [*reversed(past)]:
        case [one]:
            return (3 * predicted - one) / 2
        case [one, two]:
            return (23 * predicted - 16 * one + 5 * two) / 12
        case [one, two, three]:
            return (55 * predicted - 59 * one + 37 * two - 9 * three) / 24
    raise ValueError(f"1 to 3 earlier predictions, not {len(past)}")


def advance(latents: Tensor, noise: Tensor, step: Step) -> Tensor:
    """The latents after `step`, if `noise` is what they hold: equations 9 and 12 of DDIM."""
    # numpy's root and torch's differ in the last bit on some CPUs; IOPaint takes this one by numpy.
    noise_root = float(np.sqrt(np.float32(1 - step.signal)))
    # Tensors of four axes, not numbers: torch may divide by a number through its reciprocal.
    signal, next_signal, root = (
        torch.full((1, 1, 1, 1), share, device=latents.device)
        for share in (step.signal, step.next_signal, noise_root)
    )
    picture = (latents - root * noise) / signal.sqrt()
    return next_signal.sqrt() * picture + (1 - next_signal).sqrt() * noise
