"""Which family serves which model, and who answers when a request names none."""

from collections.abc import Callable, Mapping, Sequence

from inpaint.catalog import Catalog, CatalogError
from inpaint.errors import FamilyMissingError, ParamsError
from inpaint.settings import FamilyArgs
from inpaint.specs import AdapterSpec, Kind, ModelSpec, WeightsSpec
from inpaint.states import ModelState


def assign(catalog: Catalog, families: Sequence[FamilyArgs]) -> dict[str, tuple[ModelSpec, ...]]:
    """The models of each family, by deployment name.

    A model that one family names explicitly leaves the family that has it by default: this is
    how an operator splits a hot checkpoint off.

    Raises:
        CatalogError: a model is named twice, or a family has none or one of another kind.
        UnknownModelError: a family names a model that is not in the catalog.
    """
    named = [
        spec.name
        for family in families
        if family.models is not None
        for spec in catalog.select(family.deployment, family.models)
    ]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise CatalogError(f"These models are named twice by the families: {', '.join(twice)}.")
    return {family.deployment: _models_of(catalog, family, named) for family in families}


def _models_of(catalog: Catalog, family: FamilyArgs, named: Sequence[str]) -> tuple[ModelSpec, ...]:
    specs = catalog.select(family.deployment, family.models)
    if family.models is None:
        specs = tuple(spec for spec in specs if spec.name not in named)
    if not specs:
        raise CatalogError(f"The family '{family.deployment}' has no model.")
    strangers = [spec.name for spec in specs if spec.kind is not family.kind]
    if strangers:
        raise CatalogError(
            f"The family '{family.deployment}' is of kind '{family.kind}'; "
            f"these models are not: {', '.join(strangers)}."
        )
    return specs


class Routes:
    """Model names to specs and families.

    Args:
        catalog: all models.
        assigned: the models of each family, from `assign`.
        defaults: names, in order of preference, of who answers a request without a model.
        state: what this machine has of a model or an adapter.
    """

    def __init__(
        self,
        catalog: Catalog,
        assigned: Mapping[str, Sequence[ModelSpec]],
        defaults: Sequence[str],
        state: Callable[[WeightsSpec], ModelState],
    ) -> None:
        self._catalog = catalog
        self._family_of = {
            spec.name: family for family, specs in assigned.items() for spec in specs
        }
        known = (catalog.get(name).name for name in defaults if name in catalog)  # not aliases
        self.families = tuple(assigned)
        self._defaults = [name for name in known if name in self._family_of]
        self._state = state
        if not self._defaults:
            raise CatalogError(
                f"None of the default models ({', '.join(defaults)}) is served by a family."
            )

    @property
    def served(self) -> tuple[tuple[ModelSpec, str], ...]:
        """Every model that can be asked for, with its family."""
        specs = (spec for spec in self._catalog.models if spec.name in self._family_of)
        return tuple((spec, self._family_of[spec.name]) for spec in specs)

    def find_eraser(self, name: str | None, chosen: str | None = None) -> tuple[ModelSpec, str]:
        """The model that repaints, by name, or the default one, and its family.

        Args:
            name: None or "" for the default.
            chosen: see `default`.

        Raises:
            UnknownModelError, FamilyMissingError: see `find`.
            ParamsError: the model reads text and repaints nothing.
        """
        spec, family = self.find(name or self.default(chosen))
        if spec.kind is Kind.OCR:
            raise ParamsError(
                f"The model '{spec.name}' reads text and repaints nothing; name one of kind "
                "'erase', or send the picture to /ocr or /remove-text without it."
            )
        return spec, family

    def find_text_eraser(self, name: str | None, chosen: str | None) -> tuple[ModelSpec, str]:
        """As `find_eraser`, for what needs a model without a prompt.

        A default that takes a prompt is passed over: it was chosen for other requests. A name is
        not.
        """
        spec, family = self.find_eraser(name, chosen)
        if name or spec.kind is Kind.ERASE:
            return spec, family
        known = map(self._catalog.get, (*self._defaults, *self._family_of))
        erasers = [other for other in known if other.kind is Kind.ERASE]
        here = filter(self._is_here, erasers)
        spec = next(here, erasers[0] if erasers else spec)
        return self.find(spec.name)

    def find_reader(self) -> tuple[ModelSpec, str]:
        """The model that reads text, and its family; FamilyMissingError where OCR is off."""
        for spec, family in self.served:
            if spec.kind is Kind.OCR:
                return spec, family
        raise FamilyMissingError(
            "OCR is switched off on this server: start it with --enable-ocr, or list a family of "
            "kind 'ocr' in its Serve config."
        )

    def find(self, name: str) -> tuple[ModelSpec, str]:
        """The model called `name` and its family.

        Raises:
            UnknownModelError: the catalog has no such model.
            FamilyMissingError: it has, but no family of this server serves it.
        """
        spec = self._catalog.get(name)
        family = self._family_of.get(spec.name)
        if family is None:
            raise FamilyMissingError(
                f"No family of this server serves '{spec.name}': it belongs to '{spec.family}', "
                "which the Serve config does not list."
            )
        return spec, family

    def default(self, chosen: str | None = None) -> str:
        """Who answers a request without a model: `chosen`, the one set over the API, if it is
        served; else the config's first default whose weights are here; else the last one.
        """  # noqa: D205  one sentence
        if chosen in self._family_of:
            return chosen
        for name in self._defaults:
            if self._is_here(self._catalog.get(name)):
                return name
        return self._defaults[-1]

    def _is_here(self, spec: ModelSpec) -> bool:
        return self._state(spec) is ModelState.DOWNLOADED

    def adapters(self, spec: ModelSpec) -> tuple[AdapterSpec, ...]:
        """What can complete a model, or replace a part of it."""
        return self._catalog.adapters_of(spec)

    def adapter_state(self, adapter: AdapterSpec) -> ModelState:
        """What this machine has of an adapter."""
        return self._state(adapter)

    def state(self, spec: ModelSpec, holding: int) -> ModelState:
        """What is known of a model that `holding` replicas have loaded."""
        return ModelState.LOADED if holding else self._state(spec)
