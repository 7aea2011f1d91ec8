"""What a request asks for besides its checkpoint: chosen by name, or the first that fits."""

from collections.abc import Sequence
from typing import NamedTuple

from inpaint.errors import ParamsError
from inpaint.params import DiffusionParams
from inpaint.specs import AdapterRole, AdapterSpec, ModelSpec

CONTROLNET = "controlnet-"
"""How the roles of ControlNets begin; the rest is what they were trained on."""
DEPTH: AdapterRole = "controlnet-depth"


class Switch(NamedTuple):
    """A parameter that asks for an adapter."""

    name: str
    role: str
    """How the roles of what it asks for begin."""
    what: str
    method: str | None = None
    """The parameter that chooses among them; None: there is but one."""


CONTROLNETS = Switch("enable_controlnet", CONTROLNET, "ControlNet", "controlnet_method")
BRUSHNETS = Switch("enable_brushnet", "brushnet", "BrushNet", "brushnet_method")
POWERPAINT_V2 = Switch("enable_powerpaint_v2", "powerpaint-v2", "PowerPaint v2")
LCM_LORA = Switch("sd_lcm_lora", "lcm-lora", "LCM-LoRA")
SWITCHES = (LCM_LORA, CONTROLNETS, BRUSHNETS, POWERPAINT_V2)


def choices(
    switch: Switch, spec: ModelSpec, fitting: Sequence[AdapterSpec]
) -> tuple[AdapterSpec, ...]:
    """What `switch` can mean for a model, in the catalog's order; nothing if it does not read it.

    Args:
        switch: one of SWITCHES.
        spec: the model.
        fitting: the adapters that fit it.
    """
    return tuple(_of(switch.role, fitting)) if switch.name in spec.reads else ()


def asked_for(
    params: DiffusionParams, fitting: Sequence[AdapterSpec]
) -> dict[AdapterRole, AdapterSpec]:
    """The adapters that `params` ask for, by role.

    Args:
        params: of one request.
        fitting: the adapters that fit its checkpoint, in the catalog's order.

    Raises:
        ParamsError: a method names none of them, or there is none; says which there are.
    """
    chosen = [_chosen(switch, params, fitting) for switch in SWITCHES if _is_on(switch, params)]
    if any(adapter.role == DEPTH for adapter in chosen):
        chosen.append(_depth_estimator(fitting))
    return {adapter.role: adapter for adapter in chosen}


def _is_on(switch: Switch, params: DiffusionParams) -> bool:
    return bool(getattr(params, switch.name))


def _of(role: str, fitting: Sequence[AdapterSpec]) -> list[AdapterSpec]:
    return [adapter for adapter in fitting if adapter.role.startswith(role)]


def _chosen(switch: Switch, params: DiffusionParams, fitting: Sequence[AdapterSpec]) -> AdapterSpec:
    candidates = _of(switch.role, fitting)
    if not candidates:
        raise ParamsError(f"{switch.name}: the server knows of no {switch.what} for this model.")
    name = getattr(params, switch.method) if switch.method else None
    for adapter in candidates:
        if name in (None, adapter.name):
            return adapter
    names = ", ".join(adapter.name for adapter in candidates)
    raise ParamsError(
        f"{switch.method}: there is no {switch.what} {name!r} for this model; there are: {names}."
    )


def _depth_estimator(fitting: Sequence[AdapterSpec]) -> AdapterSpec:
    for adapter in _of("depth-estimator", fitting):
        return adapter
    raise ParamsError(
        "controlnet_method: the server knows of no depth estimator for this model; choose a "
        "ControlNet for other control pictures."
    )
