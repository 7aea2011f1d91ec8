"""What a file is: its MD5, read once as long as it stays the same, and whether it is code."""

import hashlib
import zipfile
from pathlib import Path, PurePosixPath

_Key = tuple[Path, int, int]


def new_md5() -> "hashlib._Hash":
    """An empty MD5: what IOPaint publishes. It guards against damage and mix-ups, not malice."""
    return hashlib.md5(usedforsecurity=False)


class Digests:
    """MD5 digests of files, each computed once for one (path, size, time of change)."""

    def __init__(self) -> None:
        self._known: dict[_Key, str] = {}

    def of(self, path: Path) -> str:
        """The MD5 of a file in hexadecimal; OSError where it cannot be read."""
        key = _key(path)
        if key not in self._known:
            with path.open("rb") as stream:
                self._known[key] = hashlib.file_digest(stream, new_md5).hexdigest()
        return self._known[key]

    def remember(self, path: Path, digest: str) -> None:
        """Take note of the digest of a file that was computed while it was written."""
        self._known[_key(path)] = digest


def _key(path: Path) -> _Key:
    stat = path.stat()
    return path, stat.st_size, stat.st_mtime_ns


def is_torchscript(path: Path) -> bool:
    """Whether the file is a TorchScript archive: code, not only numbers."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return any(PurePosixPath(name).name == "constants.pkl" for name in names)
