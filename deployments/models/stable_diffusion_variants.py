"""Which variant of a Stable Diffusion run a request asks for."""

from deployments.models import brushnet_calls, controlnets, power_paint_v2
from deployments.models.stable_diffusion_calls import Call, Order, inpainting
from deployments.models.stable_diffusion_shared import Shared


def call_of(shared: Shared, order: Order) -> Call:
    """The call of the variant that `order` asks for; the edge lets one through at most.

    Raises:
        ParamsError: the checkpoint does not take it.
        WeightsMissingError: an adapter is not among the order's.
        WeightsCorruptError: an adapter is damaged, or of another network.
        ExtraMissingError: a package that makes the control picture is not installed.
    """
    if order.params.enable_brushnet:
        return brushnet_calls.guided(shared, order)
    if order.params.enable_powerpaint_v2:
        return power_paint_v2.guided(shared, order)
    if order.params.enable_controlnet:
        return controlnets.guided(shared, order)
    return inpainting(shared, order)
