"""The client's parameters and results are the server's; nothing heavy comes along."""

import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

import inpaint_client
from inpaint.examples import EXAMPLE
from inpaint.specs import Kind
from inpaint.texts import ReadOptions
from inpaint_client import (
    InpaintParams,
    ModelCard,
    OcrParams,
    Problem,
    RemoveTextParams,
    UnavailableError,
)
from inpaint_client.results import FoundText, Painted, TextRemoval
from serve_app import schemas
from serve_app.openapi import properties_of
from serve_app.orders import OPTIONS, PARAMS, InpaintFields, RemoveTextFields, SdSeed
from tests.local_service import known_models

ROOT = Path(__file__).parents[2]
ROUTES = [
    (InpaintParams, (InpaintFields, *OPTIONS.values(), *PARAMS.values(), SdSeed)),
    (RemoveTextParams, (RemoveTextFields, OPTIONS[Kind.ERASE], PARAMS[Kind.ERASE])),
    (OcrParams, (ReadOptions,)),
]
JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


@pytest.mark.parametrize(("ours", "theirs"), ROUTES)
def test_parameters_have_the_servers_names_and_types(ours, theirs):
    wanted = {name: described(schema) for name, schema in properties_of(theirs).items()}
    wanted.pop(EXAMPLE, None)
    hints = get_type_hints(ours)
    assert set(hints) == set(wanted)
    for name, hint in hints.items():
        is_choice = get_origin(hint) is Literal
        kind = "string" if is_choice else JSON_TYPES.get(hint, "array")
        assert kind == wanted[name][0], name
        assert (set(get_args(hint)) if is_choice else None) == wanted[name][1], name


def described(schema):
    """The JSON type and the choices of a field; null is one where it may be left out."""
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    assert len(options) == 1, schema
    choices = options[0].get("enum")
    return options[0]["type"], set(choices) if choices else None


@pytest.mark.parametrize(
    ("ours", "theirs", "left_out"),
    [
        (Painted, schemas.InpaintAnswer, {"image", "tiles", "width", "height"}),
        (TextRemoval, schemas.RemoveTextAnswer, {"image"}),
        (FoundText, schemas.OcrAnswer, set()),
        (ModelCard, schemas.ModelCard, set()),
        (inpaint_client.Region, schemas.JudgedCard, set()),
        (inpaint_client.Adapter, schemas.AdapterCard, set()),
        (inpaint_client.ModelList, schemas.ModelList, set()),
    ],
)
def test_results_have_what_the_server_tells(ours, theirs, left_out):
    names = {field.name for field in dataclasses.fields(ours)} - {"data"}
    assert names == set(theirs.model_fields) - left_out


def test_the_card_of_every_shipped_model_is_read():
    for spec in known_models().models:
        document = card_of(spec).model_dump(mode="json")
        card = ModelCard.of_document({**document, "of a newer server": 1})
        assert (card.name, card.parameters) == (spec.name, spec.reads)
        assert card.size.multiple_of == spec.size.multiple_of
        assert (card.diffusion is None) == (spec.diffusion is None)
        assert card.licence.name == spec.licence.name
        assert card.tiling.rule == spec.tiling.rule


def card_of(spec):
    return schemas.ModelCard.of(
        spec, family=spec.family, state="missing", available=True, unavailable_because=None,
        progress=None, replicas_holding=0, adapters=(), controlnets=(), brushnets=(),
        takes_powerpaint_v2=False,
    )  # fmt: skip


def test_errors_survive_pickling():
    error = UnavailableError(Problem(503, "overloaded", "busy", "id", 2.0))
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.problem, str(copy)) == (UnavailableError, error.problem, str(error))


def test_the_client_needs_httpx_and_the_standard_library_alone():
    code = "import sys, inpaint_client; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "httpx" in loaded
    assert loaded.isdisjoint({"ray", "torch", "numpy", "fastapi", "pydantic", "cv2", "serve_app"})
    assert loaded.isdisjoint({"inpaint", "deployments", "PIL"})


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "inpaint_client" / "py.typed").exists()


def test_all_public_names_are_listed_once_and_exist():
    names = inpaint_client.__all__
    assert len(set(names)) == len(names)
    assert all(hasattr(inpaint_client, name) for name in names)
