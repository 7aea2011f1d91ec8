"""What `run` asks of the server for each picture: IOPaint's JSON file, or that of /remove-text."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from inpaint.codecs import Format
from inpaint.deadlines import Deadline
from inpaint.errors import InpaintError
from inpaint.examples import EXAMPLE
from inpaint.specs import AdapterSpec, ModelSpec
from inpaint_client import InpaintParams, ModelCard, RemoveTextParams
from serve_app.bodies import from_base64
from serve_app.cli.exits import CommandError
from serve_app.iopaint.fields import MISSPELT, IOPaintFields, order_of
from serve_app.orders import Found, RemoveTextFields, make_erase_order, read_fields, takes

PICTURES = frozenset({"image", "mask"})
"""Fields of IOPaint's request that are of no use in a file; it passes over them, too."""
NOT_IN_FILE = {"model": "--model", "format": "--format"}
QUALITY = 95
_ANY_DEADLINE = Deadline.after(1)


class Wanted(NamedTuple):
    """What is asked of POST /inpaint for each picture."""

    params: InpaintParams
    example: bytes | None = None


def read_config(path: Path | None) -> dict[str, Any]:
    """The settings of a JSON file; none without a file.

    Raises:
        CommandError: it cannot be read, or is no JSON object.
    """
    if path is None:
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"--config: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"--config: {path} is not UTF-8 text.") from None
    except json.JSONDecodeError as error:
        raise CommandError(
            f"--config: {path} is not JSON: {error.msg}, line {error.lineno}, column {error.colno}."
        ) from None
    if not isinstance(values, dict):
        raise CommandError(f'--config: {path} must hold one object, e.g. {{"ldm_steps": 30}}.')
    for name, flag in NOT_IN_FILE.items():
        if name in values:
            raise CommandError(f"--config: {name!r} is said by {flag}.")
    return values


def inpaint_params(values: Mapping[str, Any], card: ModelCard, format: Format) -> Wanted:
    """What of IOPaint's request the model reads and what acts, with IOPaint's defaults.

    They are settled by the rules of /api/v1/inpaint, so that a file that was made for IOPaint
    means the same here, for any model.

    Args:
        values: of the file.
        card: the model.
        format: of the results.

    Raises:
        CommandError: the file holds an unknown field or a wrong value.
    """
    known = {*IOPaintFields.model_fields, *MISSPELT}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise CommandError(
            f"--config: IOPaint's request has no field {', '.join(map(repr, unknown))}."
        )
    sent = {name: value for name, value in values.items() if name not in PICTURES}
    try:
        fields = IOPaintFields.model_validate(sent)
        order = order_of(fields, QUALITY, lambda _: _found(card), _ANY_DEADLINE)
        picture = fields.paint_by_example_example_image
        reads_example = picture is not None and EXAMPLE in order.spec.reads
        example = from_base64(EXAMPLE, picture) if reads_example else None
    except ValidationError as error:
        raise CommandError(*_sentences(error)) from None
    except InpaintError as error:
        raise CommandError(f"--config: {error.detail}") from None
    settled = {**order.options.model_dump(mode="json"), **order.params.model_dump(mode="json")}
    allowed = takes(order.spec)
    params = {
        name: value for name, value in settled.items() if name in allowed and value is not None
    }
    common = {"model": card.name, "format": format.value}
    return Wanted(cast(InpaintParams, params | common), example)


def text_params(values: Mapping[str, Any], card: ModelCard, format: Format) -> RemoveTextParams:
    """What is asked of POST /remove-text: its own fields, as they are; see `inpaint_params`.

    Raises:
        CommandError: the file holds an unknown field or a wrong value, or the model takes a prompt.
    """
    if "dry_run" in values:
        raise CommandError("--config: a dry run has no picture, so run takes no 'dry_run'.")
    try:
        fields, rest = read_fields(RemoveTextFields, values)
        make_erase_order(_found(card).spec, fields, rest, _ANY_DEADLINE)
    except InpaintError as error:
        raise CommandError(f"--config: {error.detail}") from None
    return cast(RemoveTextParams, {**values, "model": card.name, "format": format.value})


def _found(card: ModelCard) -> Found:
    """What the rules want to know of a model, by what the server tells of it."""
    facts = card.diffusion
    spec = ModelSpec.model_validate(
        {
            "name": card.name,
            "family": card.family,
            "kind": card.kind,
            "runner": "of.the:Server",
            "licence": {"name": card.licence.name},
            "memory_mb": 0,
            "reads": card.parameters,
            "tiling": _stated(rule=card.tiling.rule, size=card.tiling.size),
            "diffusion": facts and {"base": facts.base, "inpainting": facts.inpainting},
        }
    )
    adapters = [
        AdapterSpec.model_validate(
            {
                "name": adapter.name,
                "role": adapter.role,
                "bases": ["sd15"],  # the server has found that it fits
                "licence": {"name": adapter.licence.name},
                "memory_mb": 0,
            }
        )
        for adapter in card.adapters
    ]
    return Found(spec, adapters)


def _stated(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _sentences(error: ValidationError) -> list[str]:
    return [
        f"--config: {'.'.join(map(str, one['loc']))}: {one['msg']}, not {one['input']!r}."
        for one in error.errors(include_url=False)
    ]
