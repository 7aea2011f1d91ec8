"""What goes over the wire: the fields of requests, the shapes of JSON answers."""

from typing import Any

from pydantic import Field, ValidationError, field_validator

from inpaint.codecs import Format
from inpaint.errors import ParamsError
from inpaint.params import EraseParams, Params
from inpaint.plans import StrategyOptions
from inpaint.settings import MiB
from inpaint.specs import FixedTiling, Kind, Licence, ModelSpec, SizeRule, Spec, Tiling
from inpaint.states import ModelState
from serve_app.bodies import Value

PARAMS: dict[Kind, type[Params]] = {Kind.ERASE: EraseParams}


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


def read_fields(values: dict[str, Value]) -> tuple[InpaintFields, dict[str, Value]]:
    """The common fields, and the rest: parameters, to be read once the model is known."""
    common = {name: values[name] for name in InpaintFields.model_fields if name in values}
    rest = {name: value for name, value in values.items() if name not in common}
    try:
        return InpaintFields.model_validate(common), rest
    except ValidationError as error:
        raise _params_error(error) from error


def read_params(spec: ModelSpec, values: dict[str, Value], fields: InpaintFields) -> Params:
    """The model's parameters. What it does not read is refused, by name: it would be without
    effect, and the caller would not know.
    """  # noqa: D205  one sentence
    sent = [*values, *(name for name in StrategyOptions.model_fields if name in _set(fields))]
    strategy = () if isinstance(spec.tiling, FixedTiling) else tuple(StrategyOptions.model_fields)
    allowed = (*spec.reads, *strategy)
    unread = [name for name in sent if name not in allowed]
    if unread:
        reads = ", ".join((*InpaintFields.model_fields.keys() - StrategyOptions.model_fields.keys(),
                           *allowed))  # fmt: skip
        raise ParamsError(
            f"The model '{spec.name}' does not read {', '.join(map(repr, unread))}. "
            f"Beside image and mask it takes: {reads}."
        )
    try:
        return PARAMS[spec.kind].model_validate(values)
    except ValidationError as error:
        raise _params_error(error) from error


def _set(fields: InpaintFields) -> set[str]:
    return fields.model_fields_set


def _params_error(error: ValidationError) -> ParamsError:
    """All of pydantic's findings as one sentence each; the values themselves stay out."""
    findings = [
        f"{'.'.join(map(str, finding['loc'])) or 'body'}: {finding['msg']}"
        for finding in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return ParamsError("; ".join(findings) + ".")


class InpaintAnswer(Spec):
    """POST /inpaint as JSON."""

    image: str = Field(description="The picture as base64.")
    format: Format
    width: int
    height: int
    model: str
    seed: int
    tiles: int = Field(description="How many forwards the plan had; 0 for an empty mask.")
    request_id: str
    timings_ms: dict[str, float]


class ModelCard(Spec):
    """One model of GET /models."""

    name: str
    aliases: tuple[str, ...]
    kind: Kind
    family: str
    state: ModelState
    replicas_holding: int = Field(description="Replicas that have it loaded.")
    description: str
    licence: Licence
    parameters: tuple[str, ...] = Field(description="Parameters that change the result.")
    size: SizeRule
    tiling: Tiling
    memory_bytes: int

    @classmethod
    def of(cls, spec: ModelSpec, family: str, state: ModelState, holding: int) -> "ModelCard":
        """The card of a model that `family` serves."""
        return cls(
            name=spec.name,
            aliases=spec.aliases,
            kind=spec.kind,
            family=family,
            state=state,
            replicas_holding=holding,
            description=spec.description,
            licence=spec.licence,
            parameters=spec.reads,
            size=spec.size,
            tiling=spec.tiling,
            memory_bytes=spec.memory_mb * MiB,
        )


class ModelList(Spec):
    """GET /models."""

    default: str = Field(description="Who answers a request that names no model.")
    models: tuple[ModelCard, ...]


class Readiness(Spec):
    """GET /readyz."""

    ready: bool
    families: dict[str, str] = Field(description="Serve's status of each family.")


class Cancelled(Spec):
    """DELETE /requests/{id}."""

    request_id: str
    cancelled: bool


JsonSchema = dict[str, Any]
