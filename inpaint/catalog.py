"""The models that can be asked for, by name, and what completes them, read from YAML files."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self, TypeVar

import yaml
from pydantic import ValidationError

from inpaint.errors import UnknownModelError
from inpaint.specs import AdapterSpec, ModelSpec, WeightsSpec

MODELS, ADAPTERS = "models", "adapters"
"""Folders of the shipped configs; the second also of a user's folder."""

S = TypeVar("S", bound=WeightsSpec)

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C takes a fifth of the time; not every build of PyYAML has it."""


class CatalogError(ValueError):
    """A model's YAML file is wrong. Raised while the application is built, never in a request."""


class Catalog:
    """All models, configured or found, and all adapters. Lookup takes names and aliases.

    Adapters are in the order of their `place`, and of those that have the same as they were given.
    """

    def __init__(self, models: Iterable[ModelSpec], adapters: Iterable[AdapterSpec] = ()) -> None:
        self.models = tuple(models)
        self.adapters = tuple(sorted(adapters, key=lambda adapter: adapter.place))
        self._by_name: dict[str, ModelSpec] = {}
        for spec in self.models:
            for name in (spec.name, *spec.aliases):
                if name in self._by_name:
                    raise CatalogError(f"The model name '{name}' is used twice.")
                self._by_name[name] = spec
        self._adapter_of = {adapter.name: adapter for adapter in self.adapters}
        if len(self._adapter_of) < len(self.adapters) or self._adapter_of.keys() & self._by_name:
            raise CatalogError("An adapter has the name of a model or of another adapter.")

    @classmethod
    def from_dirs(cls, folders: Sequence[Path]) -> Self:
        """Read every *.yaml of each folder, one model a file; no adapters.

        Raises:
            CatalogError: a folder does not exist, or a file is no valid ModelSpec; names both.
        """
        return cls(_read_all(folders, ModelSpec))

    @classmethod
    def read(cls, configs: Path, own_folders: Sequence[Path] = ()) -> Self:
        """The models and adapters of the shipped configs and of a user's folders.

        A user's adapters are in a folder `adapters` below the one with the models; it may be
        missing.

        Raises:
            CatalogError: as of `from_dirs`.
        """
        models = _read_all([configs / MODELS, *own_folders], ModelSpec)
        own = (folder / ADAPTERS for folder in own_folders)
        folders = [configs / ADAPTERS, *(folder for folder in own if folder.is_dir())]
        return cls(models, _read_all(folders, AdapterSpec))

    def with_found(self, found: Iterable[ModelSpec]) -> "Catalog":
        """This catalog and the models of `found` whose names are free: a YAML file wins."""
        taken = {*self._by_name, *self._adapter_of}
        models = list(self.models)
        for spec in found:
            if spec.name not in taken:
                taken.add(spec.name)
                models.append(spec)
        return Catalog(models, self.adapters)

    def get(self, name: str) -> ModelSpec:
        """The model called `name`; UnknownModelError lists the names that would have worked."""
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(sorted(spec.name for spec in self.models))
            raise UnknownModelError(f"No model is called {name[:80]!r}. Known: {known}.") from None

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def adapter(self, name: str) -> AdapterSpec | None:
        """The adapter called `name`, if there is one."""
        return self._adapter_of.get(name)

    def adapters_of(self, *specs: ModelSpec) -> tuple[AdapterSpec, ...]:
        """What can complete one of these models, or replace a part of it."""
        return tuple(adapter for adapter in self.adapters if any(map(adapter.fits, specs)))

    def select(self, family: str, names: Sequence[str] | None) -> tuple[ModelSpec, ...]:
        """The models that a family serves: those called `names`, or all whose YAML names it."""
        if names is not None:
            return tuple(self.get(name) for name in names)
        return tuple(spec for spec in self.models if spec.family == family)


def _read_all(folders: Sequence[Path], kind: type[S]) -> list[S]:
    for folder in folders:
        if not folder.is_dir():
            raise CatalogError(f"The model folder {folder} does not exist.")
    return [_read(path, kind) for folder in folders for path in sorted(folder.glob("*.yaml"))]


def _read(path: Path, kind: type[S]) -> S:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506  safe
        return kind.model_validate(content)
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: {error}") from error
