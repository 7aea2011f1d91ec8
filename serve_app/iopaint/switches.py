"""Which of IOPaint's switches act where a request turns on several, or one that the model lacks.

IOPaint's page always sends all of them, so nothing is refused here. The rules are those of IOPaint
1.6: the validator of its request, and the order in which its ModelManager picks a class.
"""

from typing import Protocol

from inpaint.adapters import BRUSHNETS, CONTROLNETS, LCM_LORA, POWERPAINT_V2, SWITCHES, choices
from serve_app.bodies import Value
from serve_app.orders import Found

GUIDES = (CONTROLNETS, BRUSHNETS, POWERPAINT_V2)
"""At most one of them acts: the first that is on and fits the model."""

SILENCED_BY_BRUSHNET = (CONTROLNETS, LCM_LORA)
"""Off wherever enable_brushnet is sent, even if the model takes no BrushNet."""

FROM_NOISE = (BRUSHNETS, POWERPAINT_V2)
"""What paints from noise alone, whatever sd_strength says."""


class Sent(Protocol):
    """What these rules look at although the model may not read it."""

    @property
    def use_extender(self) -> bool: ...

    @property
    def enable_brushnet(self) -> bool: ...


def settled(sent: Sent, values: dict[str, Value], found: Found) -> dict[str, Value]:
    """`values` with those switches off that do not act, and without methods of other models.

    Where a method is absent, the first that fits takes its place, as IOPaint's does when it
    changes the model.

    Args:
        sent: the request.
        values: its parameters that the model reads.
        found: the model.
    """
    fitting = {switch: choices(switch, *found) for switch in SWITCHES}
    silenced = SILENCED_BY_BRUSHNET if sent.enable_brushnet else ()
    on = [
        switch
        for switch in SWITCHES
        if values.get(switch.name) and fitting[switch] and switch not in silenced
    ]
    acting = {*[switch for switch in GUIDES if switch in on][:1], *({LCM_LORA} & {*on})}
    if sent.use_extender:
        acting.discard(CONTROLNETS)  # IOPaint runs it with a weight of 0, which changes nothing
    result = values | {
        switch.name: switch in acting for switch in SWITCHES if switch.name in values
    }
    if "sd_strength" in result and (sent.use_extender or not acting.isdisjoint(FROM_NOISE)):
        result["sd_strength"] = 1.0  # with the extender even where the croper wins
    strange = [
        switch.method
        for switch, named in fitting.items()
        if switch.method and values.get(switch.method) not in [adapter.name for adapter in named]
    ]
    return {name: value for name, value in result.items() if name not in strange}
