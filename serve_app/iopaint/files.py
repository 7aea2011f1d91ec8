"""Files that come in through /api/v1: finished pictures, and a picture's prompt."""

import os
import unicodedata
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel

from inpaint import codecs
from inpaint.codecs import Limits
from inpaint.errors import ParamsError, RequestError, UnavailableError

LONGEST_NAME_BYTES = 255  # of one name on the file systems of Linux and macOS
_NEGATIVE = "Negative prompt: "


class GenInfo(BaseModel):
    """POST /api/v1/gen-info."""

    prompt: str = ""
    negative_prompt: str = ""


def gen_info(data: bytes | memoryview, limits: Limits) -> GenInfo:
    """The prompt that a picture generator left in a PNG's "parameters" text; empty without.

    Raises:
        ImageDecodeError, ImageTooLargeError: see codecs.read_metadata.
    """
    prompt, _, rest = (codecs.read_metadata(data, limits).parameters or "").partition(_NEGATIVE)
    negative = rest.split(_NEGATIVE)[0].split("\n")[0]
    return GenInfo(prompt=prompt.strip(), negative_prompt=negative.strip())


def save(folder: Path | None, name: str, data: bytes | memoryview, limits: Limits) -> None:
    """Write a picture into `folder`; one of the same name is replaced, as IOPaint does.

    Readers see the old file or the new one, never a half.

    Raises:
        RequestError: there is no folder to write into.
        ParamsError: the name does not stay in the folder.
        ImageDecodeError, ImageTooLargeError: the data is no picture that this server takes.
        UnavailableError: the disk refuses.
    """
    if folder is None or not folder.is_dir():
        raise RequestError(
            "No output directory is configured, or it does not exist: set iopaint.output_dir in "
            "the Serve config, or start with --output-dir."
        )
    codecs.read_header(data, limits)
    target = folder / plain(name)
    if target.is_symlink() or (target.exists() and not target.is_file()):
        raise ParamsError("A file of that name cannot be written: it is a link or a folder.")
    part = folder / f".{uuid4().hex}.part"
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # or a crash could leave the new name with no content
        part.replace(target)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise UnavailableError(
            "The server cannot write into its output directory.", {"errno": error.errno or 0}
        ) from error


def plain(name: str) -> str:
    """`name`, if it is one of a file in a folder itself; ParamsError if not."""
    if not is_plain(name):
        raise ParamsError(
            "The file's name must be a plain one: no folder, no slash or backslash, no control "
            f"character, not only dots, at most {LONGEST_NAME_BYTES} bytes."
        )
    return name


def is_plain(name: str) -> bool:
    """Whether `name` stays in its folder and can be sent: no separator, no half a character."""
    is_forbidden = any(char in "/\\" or unicodedata.category(char) in ("Cc", "Cs") for char in name)
    return not is_forbidden and bool(name.strip(". ")) and len(name.encode()) <= LONGEST_NAME_BYTES
