"""Whether the packages of an install extra are here, without importing them."""

from functools import cache
from importlib.util import find_spec

from inpaint.errors import ExtraMissingError
from inpaint.specs import EXTRA_PACKAGES, Extra, WeightsSpec


@cache
def is_extra_installed(extra: Extra | None) -> bool:
    """Whether the packages of an install extra can be imported. Looked up once a process."""
    packages = EXTRA_PACKAGES[extra] if extra else ()
    return all(find_spec(package) is not None for package in packages)


def missing_extra(spec: WeightsSpec) -> ExtraMissingError:
    """The error of a model whose extra is not installed."""
    return ExtraMissingError(
        f"The model '{spec.name}' needs the install extra [{spec.extra}]: "
        f"pip install 'inpaint-serve[{spec.extra}]' on the server."
    )
