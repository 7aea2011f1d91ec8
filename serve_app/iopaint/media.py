"""The file manager of /api/v1: pictures in the folders that the operator has named.

Nothing outside of these folders is read: a name has no separator, and a link is not followed.
"""

import heapq
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from inpaint import codecs
from inpaint.arrays import Size
from inpaint.codecs import SHOWN_BY_BROWSERS, Format, Limits, Metadata
from inpaint.errors import (
    BodyTooLargeError,
    ImageDecodeError,
    ParamsError,
    UnavailableError,
    UnknownFileError,
)
from inpaint.settings import IOPaintArgs, MiB
from serve_app.iopaint.files import is_plain, plain

Tab = Literal["input", "output", "mask"]

SUFFIXES = frozenset({".jpg", *(f".{format_}" for format_ in SHOWN_BY_BROWSERS)})
MOST_LISTED = 1000
"""Pictures of one answer, the newest. IOPaint's page asks for a thumbnail of every one at once."""
MOST_LOOKED_AT = 50_000
"""Entries of a folder, whatever they are."""
LONGEST_THUMBNAIL_PX = 1024
THUMBNAIL_WIDTH_PX = 256
"""Where a request states neither width nor height, as in IOPaint."""
THUMBNAIL_QUALITY = 90


class Media(BaseModel):
    """One picture of a folder."""

    name: str
    height: int = Field(description="In pixels, of the upright picture.")
    width: int
    ctime: float = Field(description="When it was created, or its metadata changed: Unix time.")
    mtime: float = Field(description="When its content changed: Unix time.")


class Thumbnail(NamedTuple):
    """A small JPEG."""

    data: bytes
    size: Size


class _Found(NamedTuple):
    """What a folder says of a file."""

    changed_ns: int
    name: str
    facts: os.stat_result


class MediaFolders:
    """The folders behind the page's tabs. Looks at files: call on a thread.

    Args:
        args: what names them. Those that it does not name, or that are not there, are empty.
    """

    def __init__(self, args: IOPaintArgs) -> None:
        self._folders: Mapping[Tab, Path | None] = {
            "input": args.input,
            "output": args.output_dir,
            "mask": args.mask_dir,
        }

    def are_open(self) -> bool:
        """Whether there is a file manager: as in IOPaint, if the input is a folder."""
        folder = self._folders["input"]
        return folder is not None and folder.is_dir()

    def listed(self, tab: Tab) -> tuple[Media, ...]:
        """The newest MOST_LISTED pictures of a folder, by name; what is no picture is left out.

        Raises:
            UnknownFileError: there is no file manager.
            UnavailableError: the folder cannot be read.
        """
        folder = self._folder(tab)
        if folder is None:
            return ()
        try:
            newest = heapq.nlargest(MOST_LISTED, _pictures_in(folder))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise UnavailableError(
                "The server cannot read this folder.", {"errno": error.errno or 0}
            ) from error
        shown = [(found, _size_of(folder, found.name, _stamp(found.facts))) for found in newest]
        return tuple(
            Media(
                name=found.name,
                height=size[0],
                width=size[1],
                ctime=found.facts.st_ctime,
                mtime=found.facts.st_mtime,
            )
            for found, size in sorted(shown, key=lambda one: one[0].name)
            if size is not None
        )

    def read(self, tab: Tab, name: str, max_bytes: int) -> tuple[bytes, Format]:
        """A picture of a folder as it lies there.

        Raises:
            UnknownFileError: there is no file manager.
            ParamsError: the folder has no such picture, or the name is none of a file in it.
            BodyTooLargeError: it has more than `max_bytes`.
            ImageDecodeError: it is called a picture and is none.
        """
        folder = self._folder(tab)
        if folder is None:
            raise _absent()
        data = _content(folder, name, max_bytes)
        return data, codecs.read_header(data).format

    def thumbnail(
        self, tab: Tab, name: str, width: int, height: int, max_bytes: int, limits: Limits
    ) -> Thumbnail:
        """A small copy, at most as large as the picture. The last 256 are kept.

        Args:
            tab: the folder.
            name: the picture.
            width: in pixels; 0 for what fits the height.
            height: in pixels; only looked at where the width is 0.
            max_bytes: of the picture's file.
            limits: of the picture.

        Raises:
            ImageDecodeError, ImageTooLargeError: see codecs.decode.
            InpaintError: as `read`.
        """
        folder = self._folder(tab)
        if folder is None:
            raise _absent()
        with _opened(folder, name) as file:
            stamp = _stamp(os.fstat(file.fileno()))
        return _small(folder, name, stamp, (height, width), max_bytes, limits)

    def _folder(self, tab: Tab) -> Path | None:
        if not self.are_open():
            raise UnknownFileError(
                "There is no file manager: start with --input FOLDER, or set iopaint.input in the "
                "Serve config to a folder."
            )
        return self._folders[tab]


def _pictures_in(folder: Path) -> Iterator[_Found]:
    """Files that are called pictures; links are none."""
    with os.scandir(folder) as entries:
        for _, entry in zip(range(MOST_LOOKED_AT), entries, strict=False):
            is_picture = Path(entry.name).suffix.lower() in SUFFIXES and is_plain(entry.name)
            if is_picture and entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):  # it has just gone
                    facts = entry.stat(follow_symlinks=False)
                    yield _Found(facts.st_mtime_ns, entry.name, facts)


def _stamp(facts: os.stat_result) -> tuple[int, int]:
    """Another one as soon as a file's content is another."""
    return facts.st_mtime_ns, facts.st_size


@lru_cache(maxsize=4 * MOST_LISTED)
def _size_of(folder: Path, name: str, stamp: tuple[int, int]) -> Size | None:
    """The upright size of a picture; None for what is none, or has gone."""
    try:
        with _opened(folder, name) as file:
            return codecs.glance_size(file)
    except (ImageDecodeError, ParamsError):
        return None


@lru_cache(maxsize=256)
def _small(
    folder: Path,
    name: str,
    stamp: tuple[int, int],
    wanted: Size,
    max_bytes: int,
    limits: Limits,
) -> Thumbnail:
    picture = codecs.decode(_content(folder, name, max_bytes), limits)
    full = picture.image.shape
    size = _thumbnail_size((full[0], full[1]), wanted)
    image = _shrunk(picture.image, size)
    alpha = None if picture.alpha is None else _shrunk(picture.alpha, size)
    colours = Metadata(icc_profile=picture.metadata.icc_profile)
    return Thumbnail(codecs.encode(image, alpha, Format.JPEG, colours, THUMBNAIL_QUALITY), size)


def _thumbnail_size(size: Size, wanted: Size) -> Size:
    """(height, width) of the picture's proportions: the wanted width counts, else the height."""
    height, width = wanted
    by_height = height > 0 and width == 0
    asked = height / size[0] if by_height else (width or THUMBNAIL_WIDTH_PX) / size[1]
    factor = min(asked, 1.0, LONGEST_THUMBNAIL_PX / max(size))
    return max(1, int(size[0] * factor)), max(1, int(size[1] * factor))


def _shrunk(array: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    small = cv2.resize(array, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _content(folder: Path, name: str, max_bytes: int) -> bytes:
    with _opened(folder, name) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise BodyTooLargeError(f"The file is larger than this server's {max_bytes // MiB} MiB.")
    return data


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[BinaryIO]:
    """The file of that name in `folder` itself; ParamsError where it has no such picture."""
    path = folder / plain(name)
    if path.suffix.lower() not in SUFFIXES:
        raise _absent()
    try:  # a link is refused by the call that opens, so that nobody can put one there in between
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _absent() from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _absent()
    with os.fdopen(descriptor, "rb") as file:
        yield file


def _absent() -> ParamsError:
    kinds = ", ".join(sorted(SUFFIXES))
    return ParamsError(
        f"This folder has no picture of that name; GET /api/v1/medias lists them ({kinds})."
    )
