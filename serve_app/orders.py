"""From a request's fields to what the pipelines are told to do."""

import json
import secrets
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError, field_validator

from inpaint.codecs import Format
from inpaint.deadlines import Deadline
from inpaint.errors import ParamsError
from inpaint.jobs import Order
from inpaint.params import SEED_MAX, EraseParams, Params
from inpaint.plans import StrategyOptions
from inpaint.specs import FixedTiling, Kind, ModelSpec
from inpaint.text_masks import MaskMode
from inpaint.text_rules import TextRules
from inpaint.texts import ReadOptions
from serve_app.bodies import Value
from serve_app.text_removal import TextOrder

DEFAULT_MARGIN = 0.0
"""Chosen by benchmarks/text_removal.py; see docs/text-removal.md."""

PARAMS: dict[Kind, type[Params]] = {Kind.ERASE: EraseParams}

Fields = TypeVar("Fields", bound=BaseModel)


class InpaintFields(StrategyOptions):
    """The fields of POST /inpaint that mean the same for every model."""

    model: str | None = Field(default=None, description="A name of GET /models.", max_length=200)
    format: Format | None = Field(
        default=None, description="png, jpeg, webp, bmp, tiff or gif; absent: the input's."
    )
    quality: int = Field(default=95, ge=1, le=100, description="Of JPEG and lossy WebP.")

    @field_validator("format", mode="before")
    @classmethod
    def _format_by_word(cls, value: object) -> object:
        return Format.parse(value) if isinstance(value, str) else value


class RemoveTextFields(InpaintFields, TextRules):
    """The fields of POST /remove-text that mean the same for every model."""

    mask_mode: MaskMode = Field(
        default=MaskMode.STROKE,
        description="polygon: the line's outline, grown. box: its upright box. "
        "stroke: the glyphs themselves where they can be told from the background.",
    )
    mask_margin: float = Field(
        default=DEFAULT_MARGIN, ge=0, le=2, description="How far the mask grows, in line heights."
    )
    fill_flat: bool = Field(
        default=True, description="Fill text on a flat background with its colour, without a model."
    )
    verify: bool = Field(
        default=True,
        description="Read the erased places again; where words remain, erase more, once.",
    )
    dry_run: bool = Field(
        default=False, description="Answer the regions and the mask as JSON, and erase nothing."
    )

    @field_validator("include", "exclude", mode="before")
    @classmethod
    def _boxes_from_json(cls, value: object) -> object:
        """A form sends lists as a string of JSON."""
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError as error:
            raise ValueError("send a JSON list of [x, y, width, height]") from error


def read_fields(
    model: type[Fields], values: Mapping[str, Value]
) -> tuple[Fields, dict[str, Value]]:
    """The fields that `model` knows, and the rest: parameters, read once the model is known.

    Raises:
        ParamsError: a field has a wrong value; names all of them.
    """
    known = {name: values[name] for name in model.model_fields if name in values}
    rest = {name: value for name, value in values.items() if name not in known}
    return _validated(model, known), rest


def read_options(values: Mapping[str, Value]) -> ReadOptions:
    """The fields of POST /ocr."""
    return _validated(ReadOptions, values)


def make_order(
    spec: ModelSpec, fields: InpaintFields, rest: dict[str, Value], deadline: Deadline
) -> Order:
    """What `spec`'s model is to do. Settles the seed, so that every tile and retry sees the same.

    Raises:
        ParamsError: a parameter is wrong, unknown, or not read by this model.
    """
    params = _read_params(spec, rest, fields)
    stated = params.seed if params.seed is not None else spec.default_seed
    seed = stated if stated is not None else secrets.randbelow(SEED_MAX)
    return Order(
        spec=spec,
        params=params.model_copy(update={"seed": seed}) if "seed" in spec.reads else params,
        options=_part(StrategyOptions, fields),
        seed=seed,
        deadline=deadline,
        format=fields.format,
        quality=fields.quality,
    )


def make_text_order(fields: RemoveTextFields) -> TextOrder:
    """Which text, and how."""
    return TextOrder(
        rules=_part(TextRules, fields),
        mask_mode=fields.mask_mode,
        mask_margin=fields.mask_margin,
        fill_flat=fields.fill_flat,
        verify=fields.verify,
        dry_run=fields.dry_run,
    )


def _part(model: type[Fields], fields: BaseModel) -> Fields:
    """The fields of a base class."""
    return model.model_construct(**{name: getattr(fields, name) for name in model.model_fields})


def _read_params(spec: ModelSpec, values: dict[str, Value], fields: InpaintFields) -> Params:
    """The model's parameters. One that it does not read would be without effect, and the caller
    would not know: it is refused, by name.
    """  # noqa: D205  one sentence
    strategy = tuple(StrategyOptions.model_fields)
    sent = [*values, *(name for name in strategy if name in fields.model_fields_set)]
    allowed = spec.reads if isinstance(spec.tiling, FixedTiling) else (*spec.reads, *strategy)
    unread = [name for name in sent if name not in allowed]
    if unread:
        common = [name for name in type(fields).model_fields if name not in strategy]
        raise ParamsError(
            f"The model '{spec.name}' does not read {', '.join(map(repr, unread))}. "
            f"It takes: {', '.join((*common, *allowed))}."
        )
    return _validated(PARAMS[spec.kind], values)


def _validated(model: type[Fields], values: Mapping[str, Any]) -> Fields:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _params_error(error) from error


def _params_error(error: ValidationError) -> ParamsError:
    """All of pydantic's findings as one sentence each; the values themselves stay out."""
    findings = [
        f"{'.'.join(map(str, finding['loc'])) or 'body'}: {finding['msg']}"
        for finding in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return ParamsError("; ".join(findings) + ".")
