"""The models that can be asked for, by name, read from YAML files."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import yaml
from pydantic import ValidationError

from inpaint.errors import UnknownModelError
from inpaint.specs import ModelSpec


class CatalogError(ValueError):
    """A model's YAML file is wrong. Raised while the application is built, never in a request."""


class Catalog:
    """All configured models. Lookup takes names and aliases."""

    def __init__(self, models: Iterable[ModelSpec]) -> None:
        self.models = tuple(models)
        self._by_name: dict[str, ModelSpec] = {}
        for spec in self.models:
            for name in (spec.name, *spec.aliases):
                if name in self._by_name:
                    raise CatalogError(f"The model name '{name}' is used twice.")
                self._by_name[name] = spec

    @classmethod
    def from_dirs(cls, folders: Sequence[Path]) -> Self:
        """Read every *.yaml of each folder, one model a file.

        Raises:
            CatalogError: a folder does not exist, or a file is no valid ModelSpec; names both.
        """
        for folder in folders:
            if not folder.is_dir():
                raise CatalogError(f"The model folder {folder} does not exist.")
        return cls(_read(path) for folder in folders for path in sorted(folder.glob("*.yaml")))

    def get(self, name: str) -> ModelSpec:
        """The model called `name`; UnknownModelError lists the names that would have worked."""
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(sorted(spec.name for spec in self.models))
            raise UnknownModelError(f"No model is called {name[:80]!r}. Known: {known}.") from None

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def select(self, family: str, names: Sequence[str] | None) -> tuple[ModelSpec, ...]:
        """The models that a family serves: those called `names`, or all whose YAML names it."""
        if names is not None:
            return tuple(self.get(name) for name in names)
        return tuple(spec for spec in self.models if spec.family == family)


def _read(path: Path) -> ModelSpec:
    try:
        return ModelSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: {error}") from error
