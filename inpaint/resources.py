"""Where the shipped configs lie: beside the packages in a checkout, inside the wheel else."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
_CHECKOUT = _PACKAGE.parent


def configs_dir() -> Path:
    """The folder with `models/` and `app/`."""
    shipped = _PACKAGE / "configs"
    return shipped if shipped.is_dir() else _CHECKOUT / "configs"


def default_serve_config() -> Path:
    """The Serve config that `make run` and `start` use."""
    shipped = _PACKAGE / "configs" / "serve_config.yaml"
    return shipped if shipped.is_file() else _CHECKOUT / "serve_config.yaml"
