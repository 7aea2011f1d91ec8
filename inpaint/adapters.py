"""What a request asks for besides its checkpoint: chosen by name, or the first that fits."""

from collections.abc import Sequence

from inpaint.errors import ParamsError
from inpaint.params import DiffusionParams
from inpaint.specs import AdapterRole, AdapterSpec

CONTROLNET = "controlnet-"
"""How the roles of ControlNets begin; the rest is what they were trained on."""
DEPTH: AdapterRole = "controlnet-depth"


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
    chosen: list[AdapterSpec] = []
    if params.sd_lcm_lora:
        chosen.append(_chosen("sd_lcm_lora", None, _of("lcm-lora", fitting)))
    if params.enable_controlnet:
        control = _chosen("controlnet_method", params.controlnet_method, _of(CONTROLNET, fitting))
        chosen.append(control)
        if control.role == DEPTH:
            chosen.append(_chosen("controlnet_method", None, _of("depth-estimator", fitting)))
    if params.enable_brushnet:
        chosen.append(_chosen("brushnet_method", params.brushnet_method, _of("brushnet", fitting)))
    if params.enable_powerpaint_v2:
        chosen.append(_chosen("enable_powerpaint_v2", None, _of("powerpaint-v2", fitting)))
    return {adapter.role: adapter for adapter in chosen}


def _of(role: str, fitting: Sequence[AdapterSpec]) -> list[AdapterSpec]:
    return [adapter for adapter in fitting if adapter.role.startswith(role)]


def _chosen(field: str, name: str | None, fitting: Sequence[AdapterSpec]) -> AdapterSpec:
    if not fitting:
        raise ParamsError(f"{field}: nothing here fits this model.")
    for adapter in fitting:
        if name in (None, adapter.name):
            return adapter
    names = ", ".join(adapter.name for adapter in fitting)
    raise ParamsError(f"{field}: there is no {name!r} for this model; there are: {names}.")
