"""What a call answers. Fields that a newer server adds are passed over."""

import base64
import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from inpaint_client.files import write_whole

Document = Mapping[str, Any]
D = TypeVar("D")
_STAGE = re.compile(r"([\w-]+);dur=([\d.]+)")


@dataclass(frozen=True, slots=True)
class Painted:
    """A repainted picture."""

    data: bytes = field(repr=False)
    """The picture's file."""
    format: str
    """png, jpeg, webp, bmp, tiff or gif."""
    model: str
    seed: int
    """With it, the same request has the same result."""
    request_id: str
    timings_ms: Mapping[str, float]
    """How long each stage took on the server."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file. It is there as a whole or not at all."""
        write_whole(Path(path), self.data)

    @classmethod
    def of_answer(cls, answer: httpx.Response) -> "Painted":
        """From an answer that is the picture itself."""
        kind, _, format_ = answer.headers["content-type"].partition("/")
        if kind != "image":
            raise ValueError("the answer is no picture")
        return cls(
            data=answer.content,
            format=format_,
            model=answer.headers["x-model"],
            seed=int(answer.headers["x-seed"]),
            request_id=answer.headers.get("x-request-id", ""),
            timings_ms=_timings(answer.headers.get("server-timing", "")),
        )

    @classmethod
    def of_document(cls, document: Document) -> "Painted":
        """From JSON with the picture as base64, as a stream's `result` has it."""
        known = _known(cls, document)
        return cls(data=base64.b64decode(document["image"]), **known)


@dataclass(frozen=True, slots=True)
class Region:
    """One line of text."""

    polygon: tuple[tuple[float, float], ...]
    """Corners (x, y) in pixels, clockwise from the text's top left."""
    text: str
    score: float
    """How sure the reader is of the text, 0 to 1."""
    detection_score: float
    """How sure the detector is that there is text at all, 0 to 1."""
    fate: str | None = None
    """What became of it: "removed", or "kept: " and why. None where nothing was to be removed."""

    @classmethod
    def of_document(cls, document: Document) -> "Region":
        """From JSON."""
        known = _known(cls, document)
        corners = tuple((float(x), float(y)) for x, y in document["polygon"])
        return cls(**{**known, "polygon": corners})


@dataclass(frozen=True, slots=True)
class FoundText:
    """The text of a picture."""

    width: int
    height: int
    regions: tuple[Region, ...]
    """In reading order."""
    request_id: str
    timings_ms: Mapping[str, float]

    @classmethod
    def of_document(cls, document: Document) -> "FoundText":
        """From JSON."""
        regions = tuple(map(Region.of_document, document["regions"]))
        return cls(**{**_known(cls, document), "regions": regions})


@dataclass(frozen=True, slots=True)
class TextRemoval:
    """A picture without its text."""

    data: bytes | None = field(repr=False)
    """The picture's file; None for a dry run."""
    format: str | None
    width: int
    height: int
    model: str
    found: int
    removed: int
    """Lines that were erased; of a dry run, that would be."""
    kept: int
    """Lines that a rule kept."""
    remaining: int
    """Lines that could still be read where text was erased."""
    regions: tuple[Region, ...]
    mask: bytes = field(repr=False)
    """A PNG: what was repainted. `inpaint` takes it."""
    request_id: str
    timings_ms: Mapping[str, float]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture's file, as a whole or not at all.

        Raises:
            ValueError: it was a dry run.
        """
        if self.data is None:
            raise ValueError("a dry run has no picture to save")
        write_whole(Path(path), self.data)

    @classmethod
    def of_document(cls, document: Document) -> "TextRemoval":
        """From JSON."""
        image = document["image"]
        more = {
            "data": None if image is None else base64.b64decode(image),
            "mask": base64.b64decode(document["mask"]),
            "regions": tuple(map(Region.of_document, document["regions"])),
        }
        return cls(**{**_known(cls, document), **more})


@dataclass(frozen=True, slots=True)
class Licence:
    """Under what terms weights may be used."""

    name: str
    commercial_use: bool | None = None
    """None: nobody has stated it."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Adapter:
    """What completes a model, or replaces a part of it."""

    name: str
    role: str
    state: str
    licence: Licence


@dataclass(frozen=True, slots=True)
class SizeRule:
    """What sizes a network takes, in pixels. The server pads to them."""

    multiple_of: int = 1
    minimum: int = 0
    square: bool = False


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a picture is cut: by the request's HD strategy, or always into tiles of one size."""

    rule: str
    """"strategy" or "fixed"."""
    size: int | None = None
    margin: int | None = None


@dataclass(frozen=True, slots=True)
class DiffusionFacts:
    """What there is to know of a diffusion checkpoint."""

    base: str
    """"sd15" or "sdxl"."""
    inpainting: bool
    is_single_file: bool = False


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model."""

    name: str
    aliases: tuple[str, ...]
    kind: str
    """"erase", "diffusion" or "ocr"."""
    family: str
    state: str
    """"extra-missing", "missing", "downloading", "downloaded" or "loaded"."""
    available: bool
    """Whether this cluster can run the model's family."""
    unavailable_because: str | None
    progress: float | None
    """Of a download, 0 to 1."""
    replicas_holding: int
    """Replicas that have it loaded."""
    description: str
    licence: Licence
    parameters: tuple[str, ...]
    """Parameters that change the result."""
    size: SizeRule
    tiling: Tiling
    max_pixels: int | None
    memory_bytes: int
    diffusion: DiffusionFacts | None
    """Of diffusion models."""
    adapters: tuple[Adapter, ...]
    controlnets: tuple[str, ...]
    """What controlnet_method can name; the first is taken where it is absent."""
    brushnets: tuple[str, ...]
    takes_powerpaint_v2: bool

    @classmethod
    def of_document(cls, document: Document) -> "ModelCard":
        """From JSON."""
        facts = document["diffusion"]
        more: dict[str, Any] = {
            "licence": _part(Licence, document["licence"]),
            "size": _part(SizeRule, document["size"]),
            "tiling": _part(Tiling, document["tiling"]),
            "diffusion": None if facts is None else _part(DiffusionFacts, facts),
            "adapters": tuple(map(_adapter, document["adapters"])),
        }
        for name in ("aliases", "parameters", "controlnets", "brushnets"):
            more[name] = tuple(document[name])
        return cls(**{**_known(cls, document), **more})


@dataclass(frozen=True, slots=True)
class ModelList:
    """What can be asked for."""

    default: str
    """Who answers a request that names no model."""
    models: tuple[ModelCard, ...]

    @classmethod
    def of_document(cls, document: Document) -> "ModelList":
        """From JSON."""
        return cls(document["default"], tuple(map(ModelCard.of_document, document["models"])))


def _adapter(document: Document) -> Adapter:
    known = _known(Adapter, document)
    return Adapter(**{**known, "licence": _part(Licence, document["licence"])})


def _part(kind: type[D], document: Document) -> D:
    return kind(**_known(kind, document))


def _known(kind: type[Any], document: Document) -> dict[str, Any]:
    """What of a document the dataclass has a field for."""
    names = [one.name for one in dataclasses.fields(kind)]
    return {name: document[name] for name in names if name in document}


def _timings(header: str) -> dict[str, float]:
    """Milliseconds by stage, from a Server-Timing header."""
    return {name: float(ms) for name, ms in _STAGE.findall(header)}
