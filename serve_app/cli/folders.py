"""Whether the folders that the user names can be used."""

import os
import tempfile
from pathlib import Path


def refusal_to_write(path: Path) -> str | None:
    """Make the folder if it is not there; why nothing can be written into it, None if it can."""
    if path.exists() and not path.is_dir():
        return f"{path} is not a directory."
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return None
    except OSError as error:
        return f"nothing can be written into {path}: {error.strerror}."


def refusal_to_read(path: Path) -> str | None:
    """Why the folder cannot be read; None if it can."""
    if not path.is_dir():
        return f"{path} is not a directory."
    return None if os.access(path, os.R_OK | os.X_OK) else f"{path} cannot be read."
