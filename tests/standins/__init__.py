"""Stand-in weights: small random networks, written as the published files are.

One module for each model. Importing them imports no torch.
"""

import hashlib
from pathlib import Path


def md5_of(path: Path) -> str:
    """Hexadecimal, as WeightFile.md5 states it."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
