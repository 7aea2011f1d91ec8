"""Which pictures `run` repaints, with which masks, and where the results go."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from inpaint.codecs import Format
from serve_app.cli.exits import CommandError

SUFFIXES = {
    ".png": Format.PNG,
    ".jpg": Format.JPEG,
    ".jpeg": Format.JPEG,
    ".webp": Format.WEBP,
    ".bmp": Format.BMP,
    ".tif": Format.TIFF,
    ".tiff": Format.TIFF,
    ".gif": Format.GIF,
}
"""What counts as a picture in a folder. IOPaint takes the first three."""
WRITTEN = {Format.JPEG: ".jpg"}
"""Suffixes of results that are not called as their format is."""


@dataclass(frozen=True, slots=True)
class Task:
    """One picture."""

    image: Path
    output: Path
    mask: Path | None = None
    """None: nobody has one for it, or text is to be removed."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything lies."""

    image: Path
    output: Path
    mask: Path | None = None
    recursive: bool = False
    format: Format | None = None
    """Of the results; None: what the output's name says, or else PNG."""


def list_tasks(places: Places) -> tuple[list[Task], Format]:
    """A task for each picture, by name, and the format of the results.

    Raises:
        CommandError: there is nothing to do, or two pictures would have one result.
    """
    images = _pictures(places, "--image", places.image)
    masks = {} if places.mask is None else _pictures(places, "--mask", places.mask)
    _refuse_doubles("--image", images)
    _refuse_doubles("--mask", {key: found for key, found in masks.items() if key in images})
    single = _single_output(places)
    format_ = places.format or (SUFFIXES[single.suffix.lower()] if single else Format.PNG)
    suffix = WRITTEN.get(format_, f".{format_.value}")
    tasks = []
    for key, (image, *_) in sorted(images.items()):
        output = single or places.output / f"{key}{suffix}"
        if output.exists() and output.samefile(image):
            raise CommandError(
                f"--output: {output} is a picture of --image, and would be overwritten."
            )
        tasks.append(Task(image, output, _mask_of(places, masks, key)))
    return tasks, format_


def _mask_of(places: Places, masks: Mapping[str, list[Path]], key: str) -> Path | None:
    if places.mask is None or places.mask.is_file():
        return places.mask
    return masks[key][0] if key in masks else None


def _single_output(places: Places) -> Path | None:
    """The file that --output names; None if it is a folder.

    Raises:
        CommandError: it is a file, and there are many pictures, or it is called as no picture is.
    """
    output = places.output
    if places.image.is_dir():
        if output.is_file():
            raise CommandError(
                f"--output: {output} is a file; a folder of pictures needs a folder."
            )
        return None
    if output.is_dir() or (output.suffix.lower() not in SUFFIXES and not output.exists()):
        return None
    if output.suffix.lower() not in SUFFIXES:
        raise CommandError(f"--output: {output} is a file, but not called as a picture is.")
    return output


def _pictures(places: Places, flag: str, path: Path) -> dict[str, list[Path]]:
    """The pictures of a folder, or the one file, by what pairs them: the path without suffix."""
    if path.is_file():
        return {path.stem: [path]}
    if not path.is_dir():
        raise CommandError(f"{flag}: {path} does not exist.")
    found: dict[str, list[Path]] = {}
    for file in _walk(path, places):
        key = file.relative_to(path).with_suffix("").as_posix()
        found.setdefault(key, []).append(file)
    if not found:
        hint = "" if places.recursive else " Folders in it are looked into with --recursive."
        raise CommandError(f"{flag}: {path} holds no picture ({', '.join(SUFFIXES)}).{hint}")
    return found


def _walk(folder: Path, places: Places) -> Iterator[Path]:
    """Pictures below `folder`; hidden ones, and masks and results that lie among the pictures, are
    left out.
    """  # noqa: D205  one sentence
    others = {place.resolve() for place in (places.output, places.mask) if place}
    others -= {folder.resolve()}
    for file in sorted(folder.rglob("*") if places.recursive else folder.iterdir()):
        inner = file.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in inner.parts)
        if is_hidden or file.suffix.lower() not in SUFFIXES or not file.is_file():
            continue
        resolved = file.resolve()
        if others.isdisjoint([resolved, *resolved.parents]):
            yield file


def _refuse_doubles(flag: str, found: Mapping[str, list[Path]]) -> None:
    for files in found.values():
        if len(files) > 1:
            names = " and ".join(map(str, files))
            raise CommandError(f"{flag}: {names} differ in their suffix only; keep one of them.")


def is_complete(path: Path) -> bool:
    """Whether a result is there from an earlier run: its first and last bytes are a picture's.

    Results of `run` are complete or not there; others, IOPaint's for one, may break off.
    """
    try:
        with path.open("rb") as file:
            start = file.read(12)
            size = file.seek(0, 2)
            file.seek(max(0, size - 12))
            end = file.read()
    except OSError:
        return False
    if start.startswith(b"\x89PNG"):
        return end.endswith(b"IEND\xaeB`\x82")
    if start.startswith(b"\xff\xd8"):
        return end.endswith(b"\xff\xd9")
    if start.startswith(b"RIFF"):
        return int.from_bytes(start[4:8], "little") + 8 == size
    if start.startswith(b"BM"):
        return int.from_bytes(start[2:6], "little") == size
    if start.startswith(b"GIF8"):
        return end.endswith(b";")
    return start.startswith((b"II*\0", b"MM\0*")) and size > len(start)
