"""GET /models: every model's card, from what the routes, the Registry and the cluster know."""

from collections.abc import Iterable, Mapping

from inpaint.adapters import BRUSHNETS, CONTROLNETS, POWERPAINT_V2, Switch, choices
from inpaint.reports import Download, ServiceState, furthest
from inpaint.specs import AdapterSpec, ModelSpec
from inpaint.states import ModelState
from serve_app.routing import Routes
from serve_app.schemas import AdapterCard, ModelCard, ModelList


class Cards:
    """Makes cards. Looks at files: call on a thread.

    Args:
        routes: which family serves which model.
        state: what the Registry knows.
        refusals: families that no node can ever run, with the reason.
        downloads: what this ingress replica is fetching.
    """

    def __init__(
        self,
        routes: Routes,
        state: ServiceState,
        refusals: Mapping[str, str],
        downloads: Iterable[Download],
    ) -> None:
        self._routes = routes
        self._state = state
        self._refusals = refusals
        self._downloads = (*downloads, *state.downloads.values())

    def all(self) -> ModelList:
        """Everything that can be asked for."""
        cards = (self.of(spec, family) for spec, family in self._routes.served)
        default = self._routes.default(self._state.default_model)
        return ModelList(default=default, models=tuple(cards))

    def of(self, spec: ModelSpec, family: str) -> ModelCard:
        """One of them."""
        holding = self._state.replicas_holding.get(spec.name, 0)
        known = self._routes.state(spec, holding)
        progress = None
        downloads = [download for download in self._downloads if download.model == spec.name]
        if downloads and known is not ModelState.LOADED:
            known, progress = ModelState.DOWNLOADING, furthest(downloads).fraction
        fitting = self._routes.adapters(spec)
        return ModelCard.of(
            spec,
            family=family,
            state=known,
            progress=progress,
            replicas_holding=holding,
            available=family not in self._refusals,
            unavailable_because=self._refusals.get(family),
            adapters=tuple(self._adapter(adapter) for adapter in fitting),
            controlnets=_names(CONTROLNETS, spec, fitting),
            brushnets=_names(BRUSHNETS, spec, fitting),
            takes_powerpaint_v2=bool(choices(POWERPAINT_V2, spec, fitting)),
        )

    def _adapter(self, adapter: AdapterSpec) -> AdapterCard:
        return AdapterCard(
            name=adapter.name,
            role=adapter.role,
            state=self._routes.adapter_state(adapter),
            licence=adapter.licence,
        )


def _names(switch: Switch, spec: ModelSpec, fitting: Iterable[AdapterSpec]) -> tuple[str, ...]:
    return tuple(adapter.name for adapter in choices(switch, spec, tuple(fitting)))
