"""Where weights lie, and what they are called: IOPaint's folders and environment variables."""

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from inpaint.specs import WeightFile

CHECKPOINTS = PurePosixPath("torch/hub/checkpoints")
"""Single files, below the model directory."""
HUB = PurePosixPath("huggingface/hub")
"""Hub repositories, in the layout of huggingface_hub's cache."""
LOCKS = ".locks"
"""Beside the weights; huggingface_hub's name, so that its tools pass over the folder."""


def default_model_dir(env: Mapping[str, str] = os.environ) -> Path:
    """IOPaint's: $XDG_CACHE_HOME, else ~/.cache."""
    return Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def override_of(file: WeightFile) -> str:
    """The URL or path that the operator states instead of the published URL; "" for none."""
    return os.environ.get(f"{file.env}_MODEL_URL", "")


def stated_md5(file: WeightFile) -> str | None:
    """The MD5 of the file at `override_of(file) or file.url`; None where nobody states one."""
    stated = os.environ.get(f"{file.env}_MODEL_MD5")
    return stated or (None if override_of(file) else file.md5)


def file_name(url: str) -> str:
    """What IOPaint calls the file of this URL in its folder."""
    return PurePosixPath(urlsplit(url).path).name


def source_of(file: WeightFile) -> str:
    """Where to get the file, for clients: an operator's own address stays out."""
    return f"what {file.env}_MODEL_URL names" if override_of(file) else file.url


def shown(url: str) -> str:
    """The URL for logs and terminals: without names, passwords, and tokens in its query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def repository_folder(hub: Path, repo_id: str) -> Path:
    """Where huggingface_hub keeps a repository below its cache folder."""
    return hub / f"models--{repo_id.replace('/', '--')}"


def lock_of(path: Path) -> Path:
    """The lock that whoever writes `path` holds."""
    return path.parent / LOCKS / f"{path.name}.lock"
