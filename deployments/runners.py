"""From a runner string to a class. Runners are imported on replicas only."""

import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from inpaint.errors import ExtraMissingError, ModelError
from inpaint.specs import ModelSpec


def allow_folders(folders: Iterable[Path]) -> None:
    """Let runner strings name modules in these folders: a user's YAML and its code lie together.

    Appended to the import path, so that a file there cannot take the place of a package.
    """
    for folder in map(str, folders):
        if folder not in sys.path:
            sys.path.append(folder)


def load_runner(spec: ModelSpec) -> Any:
    """Import the class that `spec.runner` names, e.g. "deployments.models.lama:Lama".

    Raises:
        ExtraMissingError: a package that it imports is not installed.
        ModelError: the module or the class does not exist.
    """
    module_name, _, class_name = spec.runner.partition(":")
    try:
        return getattr(import_module(module_name), class_name)
    except ModuleNotFoundError as error:
        if error.name is not None and not f"{module_name}.".startswith(f"{error.name}."):
            raise ExtraMissingError(
                f"The model '{spec.name}' needs the Python package '{error.name}', "
                "which is not installed on the server."
            ) from error
        raise ModelError(f"The model '{spec.name}' names a runner that does not exist.") from error
    except AttributeError as error:
        raise ModelError(f"The model '{spec.name}' names a runner that does not exist.") from error
