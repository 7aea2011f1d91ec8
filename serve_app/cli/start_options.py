"""What `start` can be told, on the command line or in IOPaint's JSON file."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from inpaint.specs import Spec


def _device(*names: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in names and not re.fullmatch(r"cuda:\d+", value):
            raise ValueError(f"must be cuda:N or one of {', '.join(names)}")
        return value

    return AfterValidator(check)


Device = Annotated[str, _device("auto", "cpu", "cuda", "mps")]
OcrDevice = Annotated[str, _device("auto", "cpu", "cuda")]


class StartError(ValueError):
    """What `start` was told cannot be done, or is not understood. One sentence an argument."""


class StartOptions(Spec):
    """The settings of `start`; None where nobody has said anything.

    Each is a flag of the command line and, with underscores, a key of the file.
    """

    model: str | None = None
    device: Device | None = None
    host: str | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    serve_config: Path | None = None
    model_dir: Path | None = None
    local_files_only: bool | None = None
    enable_ocr: bool | None = None
    ocr_device: OcrDevice | None = None
    no_half: bool | None = None
    low_mem: bool | None = None
    cpu_offload: bool | None = None
    cpu_textencoder: bool | None = None
    disable_nsfw_checker: bool | None = None
    quality: int | None = Field(default=None, ge=1, le=100)
    input: Path | None = None
    mask_dir: Path | None = None
    output_dir: Path | None = None
    enable_controlnet: bool | None = None
    controlnet_method: str | None = None
    inbrowser: bool | None = None
    api_keys: Path | None = None
    insecure: bool | None = None


def read_options(flags: Mapping[str, Any], config: Path | None) -> StartOptions:
    """The flags that were given, and what the file at `config` says where no flag was.

    Raises:
        StartError: the file cannot be read or is not the one that `start` takes.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        from_flags = StartOptions.model_validate(given)
    except ValidationError as error:
        raise StartError(*_sentences(error, lambda name: f"--{name.replace('_', '-')}")) from None
    if config is None:
        return from_flags
    return _read_file(config).model_copy(update=from_flags.model_dump(exclude_none=True))


def _read_file(path: Path) -> StartOptions:
    if path.suffix in {".yaml", ".yml"}:
        raise StartError(f"--config takes IOPaint's JSON file. For a Serve config write "
                           f"--serve-config={path}.")  # fmt: skip
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
    except OSError as error:
        raise StartError(f"--config: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise StartError(f"--config: {path} is not UTF-8 text.") from None
    except json.JSONDecodeError as error:
        raise StartError(
            f"--config: {path} is not JSON: {error.msg}, line {error.lineno}, column {error.colno}."
        ) from None
    if not isinstance(document, dict):
        raise StartError(f'--config: {path} must hold one object, e.g. {{"model": "lama"}}.')
    try:
        return StartOptions.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise StartError(*_sentences(error, lambda name: f"{path}: {name!r}")) from None


def _sentences(error: ValidationError, named: Callable[[str], str]) -> list[str]:
    known = ", ".join(StartOptions.model_fields)
    sentences = []
    for finding in error.errors(include_url=False):
        name = named(str(finding["loc"][0]))
        if finding["type"] == "extra_forbidden":
            sentences.append(f"{name} is not a setting of start. Known: {known}.")
        else:
            wrong = finding["msg"].removeprefix("Value error, ")
            sentences.append(f"{name}: {wrong}, not {finding['input']!r}.")
    return sentences
