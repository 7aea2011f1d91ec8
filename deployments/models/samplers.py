"""IOPaint's nineteen samplers, as schedulers of diffusers."""

from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2AncestralDiscreteScheduler,
    KDPM2DiscreteScheduler,
    LCMScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from inpaint.errors import ParamsError
from inpaint.params import Sampler

Settings = dict[str, Any]

KARRAS: Settings = {"use_karras_sigmas": True}
SDE: Settings = {"algorithm_type": "sde-dpmsolver++"}
TO_LEAST_NOISE: Settings = {"final_sigmas_type": "sigma_min"}
"""Where UniPC ended when IOPaint was released; diffusers now lets it end at 0."""


class AncestralKDPM2Scheduler(KDPM2AncestralDiscreteScheduler):  # type: ignore[misc]  # untyped
    """Draws noise before both halves of a step, as diffusers did when IOPaint was released.

    The first half's noise is not used; without drawing it a seed would mean another picture.
    """

    def step(
        self,
        model_output: Tensor,
        timestep: Tensor,
        sample: Tensor,
        generator: torch.Generator | None = None,
        return_dict: bool = True,
    ) -> Any:
        if self.state_in_first_order:
            randn_tensor(model_output.shape, generator, model_output.device, model_output.dtype)
        return super().step(model_output, timestep, sample, generator, return_dict)


SCHEDULERS: dict[Sampler, tuple[Any, Settings]] = {
    "DPM++ 2M": (DPMSolverMultistepScheduler, {}),
    "DPM++ 2M Karras": (DPMSolverMultistepScheduler, KARRAS),
    "DPM++ 2M SDE": (DPMSolverMultistepScheduler, SDE),
    "DPM++ 2M SDE Karras": (DPMSolverMultistepScheduler, SDE | KARRAS),
    "DPM++ SDE": (DPMSolverSinglestepScheduler, {}),
    "DPM++ SDE Karras": (DPMSolverSinglestepScheduler, KARRAS),
    "DPM2": (KDPM2DiscreteScheduler, {}),
    "DPM2 Karras": (KDPM2DiscreteScheduler, KARRAS),
    "DPM2 a": (AncestralKDPM2Scheduler, {}),
    "DPM2 a Karras": (AncestralKDPM2Scheduler, KARRAS),
    "Euler": (EulerDiscreteScheduler, {}),
    "Euler a": (EulerAncestralDiscreteScheduler, {}),
    "Heun": (HeunDiscreteScheduler, {}),
    "LMS": (LMSDiscreteScheduler, {}),
    "LMS Karras": (LMSDiscreteScheduler, KARRAS),
    "DDIM": (DDIMScheduler, {}),
    "PNDM": (PNDMScheduler, {}),
    "UniPC": (UniPCMultistepScheduler, TO_LEAST_NOISE),
    "LCM": (LCMScheduler, {}),
}
"""The pairs of IOPaint 1.6. Its "DPM++ SDE" is the single-step solver, which draws no noise."""

CHOSEN_BY_SAMPLER = ("use_karras_sigmas", "algorithm_type")
"""What a checkpoint's own config does not decide: IOPaint drops both, and so does this."""


def make_scheduler(sampler: Sampler, config: Settings) -> Any:
    """A new scheduler.

    Args:
        sampler: IOPaint's name.
        config: of the checkpoint's own scheduler, which says how its noise was spread.
    """
    kind, settings = SCHEDULERS[sampler]
    kept = {key: value for key, value in config.items() if key not in CHOSEN_BY_SAMPLER}
    return kind.from_config(kept, **settings)


def count_steps(scheduler: SchedulerMixin, steps: int, strength: float) -> int:
    """How many of `steps` are run at this strength, by the rule of diffusers' pipelines.

    Raises:
        ParamsError: none, or more than the sampler takes.
    """
    is_lcm = isinstance(scheduler, LCMScheduler)
    most = scheduler.config.original_inference_steps if is_lcm else steps
    if steps > most:
        raise ParamsError(f"sd_steps is {steps}; the LCM sampler takes at most {most}.")
    run = min(int(steps * strength), steps)
    if run < 1:
        raise ParamsError(
            f"sd_steps {steps} at sd_strength {strength:g} leaves no step to run: "
            "their product must be at least 1."
        )
    return run
