"""The part of a file that has arrived, kept beside it so that a download can go on later."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deployments.weights.checksums import new_md5

_BLOCK = 2**20


def part_of(target: Path) -> Path:
    """Where the bytes of an unfinished download lie."""
    return target.with_name(f"{target.name}.part")


class Part:
    """`<name>.part` and, in `<name>.part.json`, what tells whether it may be continued.

    One at a time for a target: its owner holds the target's lock.

    Attributes:
        size: bytes that have arrived.
        validator: the ETag or date by which the server knows its file; None: cannot be continued.
        total: bytes that the whole file has, if the server said so.
        digest: MD5 of what has arrived.
    """

    def __init__(self, target: Path, url: str) -> None:
        self.target = target
        self.path = part_of(target)
        self.validator: str | None = None
        self.total: int | None = None
        self._notes = target.with_name(f"{target.name}.part.json")
        self._url = hashlib.sha256(url.encode()).hexdigest()  # an address may hold a password
        self._forget()
        self._take_up()

    @property
    def is_whole(self) -> bool:
        """Whether all bytes have arrived, as far as anybody has said how many there are."""
        return self.total is not None and self.size == self.total

    def restart(self, validator: str | None, total: int | None) -> None:
        """Begin anew, with a file that the server knows by `validator`."""
        self._forget()
        self.validator, self.total = validator, total
        notes = {"url": self._url, "validator": validator, "total": total}
        self.path.write_bytes(b"")
        self._notes.write_text(json.dumps(notes), encoding="utf-8")

    @contextmanager
    def appending(self) -> Iterator[Callable[[bytes], None]]:
        """A function that appends a piece."""
        with self.path.open("ab") as file:

            def append(piece: bytes) -> None:
                file.write(piece)
                self.digest.update(piece)
                self.size += len(piece)

            yield append

    def finish(self) -> None:
        """Make the part the file: on the disk first, then under its name, in one step."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(self.target)
        self._notes.unlink(missing_ok=True)
        _sync_folder(self.target.parent)

    def remove(self) -> None:
        """Drop what has arrived."""
        self._forget()
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def _forget(self) -> None:
        self.size = 0
        self.validator = self.total = None
        self.digest = new_md5()

    def _take_up(self) -> None:
        """Go on with what an earlier download of the same URL has left."""
        try:
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
            if notes["url"] != self._url or not notes["validator"]:
                return
            with self.path.open("rb") as file:
                while block := file.read(_BLOCK):
                    self.digest.update(block)
                    self.size += len(block)
            self.validator, self.total = notes["validator"], notes["total"]
        except (OSError, ValueError, KeyError, TypeError):
            self._forget()


def _sync_folder(folder: Path) -> None:
    """Make a rename last. Some file systems (network ones) refuse, and lose nothing by it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
