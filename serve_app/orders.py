"""From a request's fields to what the pipelines are told to do."""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, Field, ValidationError, field_validator

from inpaint.adapters import asked_for
from inpaint.codecs import Format
from inpaint.combinations import check_together
from inpaint.deadlines import Deadline
from inpaint.diffusion import DiffusionOptions
from inpaint.errors import ParamsError
from inpaint.jobs import DiffusionOrder, EraseOrder
from inpaint.params import SEED_MAX, DiffusionParams, EraseParams, Params
from inpaint.plans import StrategyOptions
from inpaint.specs import AdapterSpec, FixedTiling, Kind, ModelSpec, Spec
from inpaint.text_masks import MaskMode
from inpaint.text_rules import TextRules
from inpaint.texts import ReadOptions
from serve_app.bodies import Body, Value
from serve_app.excerpts import excerpt, first_of
from serve_app.text_removal import TextOrder

DEFAULT_MARGIN = 0.0
"""Chosen by benchmarks/text_removal.py; see docs/text-removal.md."""

PARAMS: dict[Kind, type[Params]] = {Kind.ERASE: EraseParams, Kind.DIFFUSION: DiffusionParams}
OPTIONS: dict[Kind, type[StrategyOptions] | type[DiffusionOptions]] = {
    Kind.ERASE: StrategyOptions,
    Kind.DIFFUSION: DiffusionOptions,
}

SEED, SD_SEED = "seed", "sd_seed"
RANDOM_SEED = -1
"""What IOPaint's clients send as sd_seed to have one drawn."""


class Found(NamedTuple):
    """A model that can be asked for."""

    spec: ModelSpec
    adapters: Sequence[AdapterSpec] = ()
    """What can complete it."""


FindModel = Callable[[str | None], Found]
"""The model of that name, or the default one for None; raises as Routes.find_eraser does."""

OrderReader = Callable[[Body, FindModel, Deadline], EraseOrder | DiffusionOrder]
"""Turns a body into an order, by the rules of one API. Its pictures are not decoded for that."""

Fields = TypeVar("Fields", bound=BaseModel)


class InpaintFields(Spec):
    """The fields of POST /inpaint that every model takes."""

    model: str | None = Field(default=None, description="A name of GET /models.", max_length=200)
    format: Format | None = Field(
        default=None, description="png, jpeg, webp, bmp, tiff or gif; absent: the input's."
    )
    quality: int = Field(default=95, ge=1, le=100, description="Of JPEG and lossy WebP.")

    @field_validator("format", mode="before")
    @classmethod
    def _format_by_word(cls, value: object) -> object:
        return Format.parse(value) if isinstance(value, str) else value


class SdSeed(Spec):
    """IOPaint's name of `seed`, for models with a prompt."""

    sd_seed: int = Field(
        default=RANDOM_SEED, ge=RANDOM_SEED, le=SEED_MAX, description="As seed; -1 draws one."
    )


class RemoveTextFields(InpaintFields, TextRules):
    """The fields of POST /remove-text that every model takes."""

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


def read_order(body: Body, find: FindModel, deadline: Deadline) -> EraseOrder | DiffusionOrder:
    """The order of POST /inpaint. Nothing is left out or amended: what does not fit is refused.

    Raises:
        ParamsError: see `make_order`; or things that exclude each other are asked for.
    """
    fields, rest = read_fields(InpaintFields, body.fields)
    return strict_order(find(fields.model), fields, rest, body, deadline)


def strict_order(
    found: Found, fields: InpaintFields, rest: Mapping[str, Value], body: Body, deadline: Deadline
) -> EraseOrder | DiffusionOrder:
    """See `read_order`; `rest` are the parameters and options, `body` has the other pictures."""
    pictures = [name for name, data in body.files.items() if data]
    _refuse_unread(found.spec, fields, [*rest, *pictures])
    order = make_order(found, fields, rest, deadline)
    if isinstance(order, DiffusionOrder):
        check_together(order.params, order.options)
    return order


def read_options(values: Mapping[str, Value]) -> ReadOptions:
    """The fields of POST /ocr."""
    return _validated(ReadOptions, values)


def make_order(
    found: Found, fields: InpaintFields, rest: Mapping[str, Value], deadline: Deadline
) -> EraseOrder | DiffusionOrder:
    """What a model is to do; `rest` are its parameters and options.

    Settles the seed, so that every tile and retry sees the same.

    Raises:
        ParamsError: a parameter is wrong, unknown, or not read by this model, or it names what
            does not fit the model.
    """
    if found.spec.kind is Kind.DIFFUSION:
        return _diffusion_order(found, fields, rest, deadline)
    return make_erase_order(found.spec, fields, rest, deadline)


def make_erase_order(
    spec: ModelSpec, fields: InpaintFields, rest: Mapping[str, Value], deadline: Deadline
) -> EraseOrder:
    """See `make_order`; ParamsError as well for a model that takes a prompt."""
    if spec.kind is not Kind.ERASE:
        raise ParamsError(
            f"The model '{spec.name}' is of kind '{spec.kind}'; name one of kind 'erase'."
        )
    _refuse_unread(spec, fields, rest)
    options, values = read_fields(StrategyOptions, rest)
    params = _validated(EraseParams, values)
    seed = _settled(params.seed, spec)
    return EraseOrder(
        spec=spec,
        params=params.model_copy(update={SEED: seed}) if SEED in spec.reads else params,
        options=options,
        seed=seed,
        deadline=deadline,
        format=fields.format,
        quality=fields.quality,
    )


def _diffusion_order(
    found: Found, fields: InpaintFields, rest: Mapping[str, Value], deadline: Deadline
) -> DiffusionOrder:
    spec = found.spec
    _refuse_unread(spec, fields, rest)
    options, values = read_fields(DiffusionOptions, _with_seed(rest))
    params = _validated(DiffusionParams, values)
    seed = _settled(params.seed, spec)
    return DiffusionOrder(
        spec=spec,
        params=params.model_copy(update={SEED: seed}),
        options=options,
        seed=seed,
        deadline=deadline,
        format=fields.format,
        quality=fields.quality,
        adapters=asked_for(params, found.adapters),
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


def _refuse_unread(spec: ModelSpec, fields: InpaintFields, sent: Iterable[str]) -> None:
    """A parameter that the model does not read would be without effect, and the caller would not
    know: it is refused, by name.
    """  # noqa: D205  one sentence
    allowed = takes(spec)
    unread = [name for name in sent if name not in allowed]
    if unread:
        named = first_of([repr(excerpt(name)) for name in unread])
        raise ParamsError(
            f"The model '{spec.name}' does not read {named}. "
            f"It takes: {', '.join((*type(fields).model_fields, *allowed))}.",
            {"param": excerpt(unread[0])},
        )


def takes(spec: ModelSpec) -> tuple[str, ...]:
    """The fields that mean something for a model, beside those that every one takes."""
    if isinstance(spec.tiling, FixedTiling):
        return spec.reads
    alias = (SD_SEED,) if spec.kind is Kind.DIFFUSION and SEED in spec.reads else ()
    return (*spec.reads, *alias, *OPTIONS[spec.kind].model_fields)


def _with_seed(values: Mapping[str, Value]) -> dict[str, Value]:
    """`values` with IOPaint's name of the seed replaced by ours; RANDOM_SEED is none."""
    if SD_SEED not in values:
        return dict(values)
    if SEED in values:
        raise ParamsError(f"'{SEED}' and '{SD_SEED}' are two names of one field; send one.")
    others = {name: value for name, value in values.items() if name != SD_SEED}
    sent = _validated(SdSeed, {SD_SEED: values[SD_SEED]}).sd_seed
    return others if sent == RANDOM_SEED else others | {SEED: sent}


def _settled(stated: int | None, spec: ModelSpec) -> int:
    """The request's seed: the one it states, else the model's own, else one that is drawn."""
    seed = stated if stated is not None else spec.default_seed
    return seed if seed is not None else secrets.randbelow(SEED_MAX)


def _validated(model: type[Fields], values: Mapping[str, Any]) -> Fields:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _params_error(error) from error


def _params_error(error: ValidationError) -> ParamsError:
    """All of pydantic's findings as one sentence each; the values themselves stay out."""
    findings = error.errors(include_url=False, include_input=False, include_context=False)
    places = [excerpt(".".join(map(str, finding["loc"]))) or "body" for finding in findings]
    told = [f"{place}: {finding['msg']}" for place, finding in zip(places, findings, strict=True)]
    return ParamsError(f"{first_of(told, '; ')}.", {"param": places[0]})
