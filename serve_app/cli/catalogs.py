"""The models that the command line knows."""

from collections.abc import Iterable
from pathlib import Path

from deployments.weights import default_model_dir, discover
from inpaint.catalog import Catalog
from inpaint.resources import configs_dir


def known_models(own_folders: Iterable[Path] = (), model_dir: Path | None = None) -> Catalog:
    """The shipped models, those of a user's own folders, and those found in the model directory.

    Raises:
        CatalogError: a model's YAML file is wrong.
    """
    catalog = configured_models(own_folders)
    return catalog.with_found(discover(model_dir or default_model_dir(), catalog).models)


def configured_models(own_folders: Iterable[Path] = ()) -> Catalog:
    """Those that have a YAML file; CatalogError where one is wrong."""
    return Catalog.read(configs_dir(), [*own_folders])
