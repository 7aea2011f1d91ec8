"""GET /v1/models: our models as OpenAI lists its own."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from inpaint.errors import UnknownModelError
from inpaint.specs import Kind, ModelSpec, Spec
from serve_app.schemas import ModelCard

OWNER = "inpaint-serve"
UNKNOWN_TIME = 0
"""Catalogue entries do not say when a model was made."""


class OpenAIModel(Spec):
    """One model."""

    id: str = Field(description="What `model` of a request names.")
    object: Literal["model"] = "model"
    created: int = UNKNOWN_TIME
    owned_by: str = OWNER


class OpenAIModels(Spec):
    """GET /v1/models."""

    object: Literal["list"] = "list"
    data: tuple[OpenAIModel, ...]


def listed(specs: Iterable[ModelSpec]) -> OpenAIModels:
    """All models that edit pictures."""
    return OpenAIModels(data=tuple(OpenAIModel(id=spec.name) for spec in specs))


def of_card(card: ModelCard) -> OpenAIModel:
    """One model; UnknownModelError for one that only reads text, which is not in the list."""
    if card.kind is Kind.OCR:
        raise UnknownModelError(f"The model '{card.name}' reads text and edits no pictures.")
    return OpenAIModel(id=card.name)
