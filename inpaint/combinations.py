"""Which parameters and options of a diffusion request exclude each other."""

from collections.abc import Callable
from typing import NamedTuple

from inpaint.diffusion import DiffusionOptions
from inpaint.errors import ParamsError
from inpaint.params import DiffusionParams

Acts = Callable[[DiffusionParams, DiffusionOptions], bool]

ACTS: dict[str, Acts] = {
    "sd_lcm_lora": lambda params, _: params.sd_lcm_lora,
    "enable_controlnet": lambda params, _: params.enable_controlnet,
    "enable_brushnet": lambda params, _: params.enable_brushnet,
    "enable_powerpaint_v2": lambda params, _: params.enable_powerpaint_v2,
    "use_extender": lambda _, options: options.use_extender and not options.use_croper,
    "sd_strength below 1": lambda params, _: params.sd_strength < 1,
}
"""When each of the things in CLASHES is in effect: with a croper, the extender is not."""


class Clash(NamedTuple):
    """Two things that have no meaning together."""

    one: str
    other: str
    remedy: str
    """What would be right, and why."""


_ONE_GUIDE = "each of them guides the whole network, so switch on one only"
_NO_LORA = "it was trained for the network without LCM-LoRA, so switch one of them off"
_NO_PAST = "it starts from noise alone, so leave sd_strength at 1"

CLASHES = (
    Clash("enable_brushnet", "enable_controlnet", _ONE_GUIDE),
    Clash("enable_brushnet", "enable_powerpaint_v2", _ONE_GUIDE),
    Clash("enable_powerpaint_v2", "enable_controlnet", _ONE_GUIDE),
    Clash("enable_brushnet", "sd_lcm_lora", _NO_LORA),
    Clash("enable_powerpaint_v2", "sd_lcm_lora", _NO_LORA),
    Clash("enable_brushnet", "sd_strength below 1", _NO_PAST),
    Clash("enable_powerpaint_v2", "sd_strength below 1", _NO_PAST),
    Clash(
        "use_extender",
        "enable_controlnet",
        "where the picture is new there is nothing to make a control picture of, so switch one of "
        "them off",
    ),
    Clash(
        "use_extender",
        "sd_strength below 1",
        "what is new shows nothing yet to depart from, so leave sd_strength at 1",
    ),
)
"""IOPaint drops one of each pair in silence; see serve_app/iopaint/switches.py."""


def check_together(params: DiffusionParams, options: DiffusionOptions) -> None:
    """Raise ParamsError where things that exclude each other are asked for; names every pair."""
    acting = {name for name, acts in ACTS.items() if acts(params, options)}
    found = [clash for clash in CLASHES if {clash.one, clash.other} <= acting]
    if found:
        raise ParamsError(
            " ".join(f"{one} does not go with {other}: {remedy}." for one, other, remedy in found)
        )
