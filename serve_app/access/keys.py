"""API keys: what they look like, and the file of those that are let in."""

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from inpaint.specs import Spec

logger = logging.getLogger("ray.serve")

PREFIX = "isk_"
"""Of every key made here, so that a key in a log or a repository is known for what it is."""
RANDOM_BYTES = 32
"""Of a key. So many that guessing is hopeless and one fast hash keeps a stolen file useless."""
LOOK_EVERY_S = 5.0
"""How old the file's content may be: a mounted secret changes under a running server."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the key.")]


class KeysError(ValueError):
    """The file of keys cannot be read, or holds something else."""


class ApiKey(Spec):
    """One entry of the file. It holds no key, only what tells one."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
    sha256: Digest
    requests_per_minute: float | None = Field(
        default=None, gt=0, description="Absent: no limit. A sixth of it may come at once."
    )
    concurrent: int | None = Field(
        default=None, ge=1, description="Requests that may run at once; absent: no limit."
    )


class KeysFile(Spec):
    """The whole file."""

    keys: tuple[ApiKey, ...] = Field(min_length=1)


def make_key() -> str:
    """A new key. It is shown once and kept nowhere."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def digest_of(key: str) -> str:
    """What the file holds of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """The entries of the file at `path`.

    Raises:
        KeysError: it cannot be read, is no such file, or has a name or key twice.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        keys = KeysFile.model_validate(document).keys
    except OSError as error:
        raise KeysError(f"{path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, yaml.YAMLError):
        raise KeysError(f"{path} is not YAML.") from None
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "its first line"
        raise KeysError(f"{path} is no file of API keys: see {where}.") from None
    for field in ("name", "sha256"):
        if len({getattr(key, field) for key in keys}) < len(keys):
            raise KeysError(f"{path}: two keys have the same {field}.")
    return keys


class Keyring:
    """The keys that are let in now. Follows its file; a broken file changes nothing.

    Args:
        path: of the file.

    Raises:
        KeysError: it is broken from the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = read_keys(path)
        self._looked_at = time.monotonic()

    def refresh(self) -> None:
        """Read the file again when it is time to. Blocks: call on a thread."""
        self._looked_at = time.monotonic()
        try:
            self._keys = read_keys(self._path)
        except KeysError as error:
            logger.error("API keys stay as they were: %s", error)

    @property
    def is_due(self) -> bool:
        """Whether `refresh` has not been called for a while."""
        return time.monotonic() - self._looked_at > LOOK_EVERY_S

    def find(self, presented: str) -> ApiKey | None:
        """The entry of a key. Compares with all, in a time that tells nothing of them."""
        digest = digest_of(presented)
        found = None
        for key in self._keys:
            if hmac.compare_digest(digest, key.sha256):
                found = key
        return found


def presented_in(headers: Mapping[str, str]) -> str | None:
    """The key that a request brings: `Authorization: Bearer KEY`, or `X-API-Key: KEY`."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return headers.get("x-api-key")
