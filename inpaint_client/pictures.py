"""What a call takes as a picture, and how it becomes bytes."""

import os
from pathlib import Path
from typing import Protocol


class Readable(Protocol):
    """A file that was opened for reading bytes."""

    def read(self) -> bytes:
        """All from where it stands."""
        ...


Picture = bytes | bytearray | memoryview | str | os.PathLike[str] | Readable
"""The bytes of a picture's file, its path, or the file opened in binary mode. A `str` is a path."""


def read_picture(picture: Picture) -> bytes:
    """The bytes of the file. They are read once, so that a retry sends the same.

    Raises:
        OSError: the file cannot be read.
        TypeError: it was opened as text, or is no picture.
    """
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, bytearray | memoryview):
        return bytes(picture)
    if isinstance(picture, str | os.PathLike):
        return Path(picture).read_bytes()
    data = picture.read()
    if not isinstance(data, bytes):
        raise TypeError("open the picture's file in binary mode: open(path, 'rb')")
    return data
