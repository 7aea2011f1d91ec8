"""What the file system says, in our words."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inpaint.errors import DownloadError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn an OSError of the block, which writes `target`, into a DownloadError."""
    try:
        yield
    except OSError as error:
        raise DownloadError(
            f"{target.name} cannot be stored: {_reason(error)}",
            {"path": str(target), "errno": error.errno or 0},
        ) from error


def _reason(error: OSError) -> str:
    if error.errno in FULL:
        return "the disk of the model directory is full. What had arrived was removed."
    if error.errno in _FORBIDDEN:
        return (
            "the server's user may not write into the model directory. Fetch it as a user who "
            "may, or choose another directory."
        )
    if error.errno is None:
        return "the model directory cannot be written."
    return f"the model directory cannot be written ({os.strerror(error.errno)})."
