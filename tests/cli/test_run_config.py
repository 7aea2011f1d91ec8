"""IOPaint's JSON file for `run`, and what of it a model is asked."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaint.codecs import Format
from inpaint.combinations import check_together
from inpaint.deadlines import Deadline
from inpaint.examples import EXAMPLE
from inpaint.jobs import DiffusionOrder
from inpaint.specs import Kind
from inpaint_client import ModelCard
from serve_app import schemas
from serve_app.cli.exits import CommandError
from serve_app.cli.run_config import inpaint_params, read_config, text_params
from serve_app.iopaint.fields import IOPaintFields, order_of
from serve_app.orders import Found, InpaintFields, make_order
from tests.local_service import known_models

PAINTERS = [spec for spec in known_models().models if spec.kind is not Kind.OCR]
SOON = Deadline.after(60)
ALL_FIELDS = IOPaintFields().model_dump(exclude={"model"})
"""What IOPaint's own dump of its request looks like: every field, at its default."""


def found(name):
    catalog = known_models()
    spec = catalog.get(name)
    return Found(spec, catalog.adapters_of(spec))


def card(name):
    """What the server says of a model."""
    spec, adapters = found(name)
    told = schemas.ModelCard.of(
        spec, family=spec.family, state="loaded", available=True, unavailable_because=None,
        progress=None, replicas_holding=1, controlnets=(), brushnets=(), takes_powerpaint_v2=False,
        adapters=tuple(
            schemas.AdapterCard(name=one.name, role=one.role, state="loaded", licence=one.licence)
            for one in adapters
        ),
    )  # fmt: skip
    return ModelCard.of_document(told.model_dump(mode="json"))


def params(name, **values):
    return inpaint_params(values, card(name), Format.PNG).params


values = st.fixed_dictionaries(
    {},
    optional={
        "sd_seed": st.integers(0, 99),
        "sd_steps": st.integers(1, 50),
        "sd_strength": st.sampled_from([0.5, 1.0]),
        "prompt": st.sampled_from(["", "a cat"]),
        "use_extender": st.booleans(),
        "use_croper": st.booleans(),
        "extender_x": st.integers(-9, 9),
        "enable_controlnet": st.booleans(),
        "controlnet_method": st.sampled_from(["lllyasviel/control_v11p_sd15_openpose", "other"]),
        "enable_brushnet": st.booleans(),
        "enable_powerpaint_v2": st.booleans(),
        "sd_lcm_lora": st.booleans(),
        "hd_strategy": st.sampled_from(["Crop", "Resize", "Original", "nonsense"]),
        "hd_strategy_crop_margin": st.integers(0, 9999),
        "cv2_radius": st.integers(-5, 200),
        "ldm_steps": st.integers(1, 50),
        "zits_wireframe": st.booleans(),
    },
)


@settings(max_examples=15)
@given(values)
def test_the_native_route_is_asked_for_what_iopaints_route_would_do(values):
    """For every model that is shipped, and without a clash that the native route refuses."""
    assert len(PAINTERS) > 20
    for spec in PAINTERS:
        both = found(spec.name)
        wanted = order_of(IOPaintFields.model_validate(values), 95, lambda _, f=both: f, SOON)
        asked = dict(params(spec.name, **values))
        assert asked.pop("model") == spec.name
        assert asked.pop("format") == "png"
        order = make_order(both, InpaintFields(), asked, SOON)
        assert order.options == wanted.options, spec.name
        if "seed" in spec.reads and "seed" not in values and spec.kind is Kind.ERASE:
            wanted = type(wanted)(**{**fields_of(wanted), "params": order.params})  # drawn anew
        assert order.params == wanted.params, spec.name
        if isinstance(order, DiffusionOrder):
            check_together(order.params, order.options)


def fields_of(order):
    return {name: getattr(order, name) for name in type(order).__dataclass_fields__}


@pytest.mark.parametrize("name", ["lama", "migan", "cv2", "runwayml/stable-diffusion-inpainting"])
def test_iopaints_whole_request_is_taken_for_every_kind_of_model(name):
    asked = params(name, **ALL_FIELDS)
    assert asked == params(name)
    allowed = {"model", "format", *found(name).spec.reads}
    if name == "migan":  # always tiles of one size
        assert set(asked) <= allowed


def test_the_defaults_are_iopaints():
    asked = params("runwayml/stable-diffusion-inpainting")
    assert (asked["seed"], asked["sd_steps"], asked["sd_sampler"]) == (42, 50, "UniPC")
    assert (asked["sd_mask_blur"], asked["sd_guidance_scale"]) == (11, 7.5)
    lama = params("lama")
    assert lama["hd_strategy"] == "Crop"
    assert (lama["hd_strategy_crop_trigger_size"], lama["hd_strategy_crop_margin"]) == (800, 128)


def test_keys_that_iopaints_page_misspells_are_understood():
    assert params("lama", hd_strategy_crop_triger_size=640)["hd_strategy_crop_trigger_size"] == 640


def test_an_example_picture_is_sent_to_models_that_read_one():
    values = {EXAMPLE: base64.b64encode(b"picture").decode()}
    wanted = inpaint_params(values, card("Fantasy-Studio/Paint-by-Example"), Format.PNG)
    assert wanted.example == b"picture"
    assert inpaint_params(values, card("lama"), Format.PNG).example is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ldm_step": 3}, "'ldm_step'"),
        ({"cv2_flag": "x"}, "cv2_flag"),
        ({"hd_strategy": "Resize", "hd_strategy_resize_limit": 1}, "hd_strategy_resize_limit"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(values, said):
    with pytest.raises(CommandError, match=said):
        params("cv2", **values)


def test_the_file_of_text_removal_has_that_routes_fields():
    values = {"mask_mode": "box", "keep": "^Total", "cv2_radius": 7}
    asked = text_params(values, card("cv2"), Format.JPEG)
    assert asked == {**values, "model": "cv2", "format": "jpeg"}
    with pytest.raises(CommandError, match="sd_steps"):
        text_params({"sd_steps": 3}, card("cv2"), Format.PNG)
    with pytest.raises(CommandError, match="RE2"):
        text_params({"keep": "("}, card("cv2"), Format.PNG)
    with pytest.raises(CommandError, match="dry_run"):
        text_params({"dry_run": True}, card("cv2"), Format.PNG)
    with pytest.raises(CommandError, match="kind 'diffusion'"):
        text_params({}, card("painter"), Format.PNG)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "one object"),
        (json.dumps({"model": "lama"}), "--model"),
        (json.dumps({"format": "png"}), "--format"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path, text, said):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(CommandError, match=said):
        read_config(path)


def test_files_are_read(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"cv2_radius": 3}')
    assert read_config(path) == {"cv2_radius": 3}
    assert read_config(None) == {}
    path.write_bytes(b"\xff")
    with pytest.raises(CommandError, match="UTF-8"):
        read_config(path)
    with pytest.raises(CommandError, match="cannot be read"):
        read_config(tmp_path / "nothing.json")
