"""From fields to the order of a model with a prompt, on both APIs."""

import typing

import pytest

from inpaint.deadlines import Deadline
from inpaint.diffusion import DiffusionOptions
from inpaint.errors import ParamsError
from inpaint.examples import EXAMPLE
from inpaint.jobs import DiffusionOrder, EraseOrder
from inpaint.params import SEED_MAX, DiffusionParams, Sampler
from inpaint.plans import StrategyOptions
from serve_app.bodies import Body
from serve_app.iopaint.fields import IOPaintFields, order_of
from serve_app.orders import Found, InpaintFields, make_erase_order, read_order, takes
from tests.fakes import fake_adapter, fake_spec

READS = tuple(name for name in DiffusionParams.model_fields if name != "kind")
LORA = fake_adapter("a/lora", "lcm-lora")


def painter(**more):
    return fake_spec("painter", kind="diffusion", **({"reads": READS} | more))


def native(spec=None, **fields):
    spec = spec or painter()
    return read_order(Body({}, fields), lambda name: Found(spec, [LORA]), Deadline.after(9))


def iopaint(spec=None, **fields):
    spec = spec or painter()
    asked = IOPaintFields.model_validate(fields)
    return order_of(asked, 90, lambda name: Found(spec, [LORA]), Deadline.after(9))


def refused(call, **fields):
    with pytest.raises(ParamsError) as raised:
        call(**fields)
    return str(raised.value)


@pytest.mark.parametrize("call", [native, iopaint])
def test_defaults_are_iopaints(call):
    made = call()
    assert isinstance(made, DiffusionOrder)
    params, options = made.params, made.options
    assert (params.prompt, params.negative_prompt) == ("", "")
    assert (params.sd_steps, params.sd_strength, params.sd_guidance_scale) == (50, 1.0, 7.5)
    assert (params.sd_sampler, params.sd_lcm_lora) == ("UniPC", False)
    assert (options.use_croper, options.use_extender, options.sd_scale) == (False, False, 1.0)
    assert (options.sd_mask_blur, options.sd_match_histograms) == (11, False)
    assert options.sd_keep_unmasked_area
    assert params.seed == made.seed


FIELDS = {
    "prompt": "a fox, très brun",
    "negative_prompt": "blurry",
    "sd_steps": 7,
    "sd_strength": 0.5,
    "sd_guidance_scale": 3.5,
    "sd_sampler": "DPM++ 2M SDE Karras",
    "sd_lcm_lora": True,
    "use_croper": True,
    "croper_x": -4,
    "croper_y": 5,
    "croper_height": 6,
    "croper_width": 7,
    "sd_scale": 0.25,
    "sd_mask_blur": 3,
    "sd_match_histograms": True,
    "sd_keep_unmasked_area": False,
}


@pytest.mark.parametrize("call", [native, iopaint])
@pytest.mark.parametrize("written", [lambda value: value, str])
def test_every_field_arrives(call, written):
    made = call(**{name: written(value) for name, value in FIELDS.items()})
    arrived = made.params.model_dump() | made.options.model_dump()
    assert {name: arrived[name] for name in FIELDS} == FIELDS


@pytest.mark.parametrize("call", [native, iopaint])
@pytest.mark.parametrize("sampler", typing.get_args(Sampler))
def test_every_sampler_is_taken(call, sampler):
    assert call(sd_sampler=sampler).params.sd_sampler == sampler


def test_there_are_19_samplers():
    assert len(set(typing.get_args(Sampler))) == 19


@pytest.mark.parametrize("call", [native, iopaint])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sd_steps", (0, 151, -1)),
        ("sd_strength", (0, -0.5)),
        ("sd_guidance_scale", (-0.1, 50.1)),
        ("sd_sampler", ("Euler B", "euler", "")),
        ("sd_mask_blur", (-1, 97)),
        ("sd_seed", (-2, SEED_MAX + 1)),
        ("prompt", ("x" * 4001,)),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(call, name, values):
    for value in values:
        assert name in refused(call, **{name: value})


@pytest.mark.parametrize("call", [native, iopaint])
@pytest.mark.parametrize("prefix", ["croper", "extender"])
def test_boxes_that_act_are_checked(call, prefix):
    found = refused(call, **{f"use_{prefix}": True, f"{prefix}_width": 0, f"{prefix}_height": -1})
    assert f"{prefix}_width" in found
    assert f"{prefix}_height" in found
    assert f"{prefix}_x" in refused(call, **{f"use_{prefix}": True, f"{prefix}_x": 10**30})


def test_iopaints_boxes_that_do_not_act_may_be_anything():
    made = iopaint(croper_width=0, extender_height=-5, extender_x=10**12)
    assert made.options == DiffusionOptions()
    both = iopaint(use_croper=True, use_extender=True, extender_width=0)
    assert both.options.use_croper  # which wins
    assert both.options.extender_width == 640  # what was sent means nothing then


def test_what_the_model_does_not_read_is_refused_by_name_here_and_ignored_there():
    bare = painter(reads=["prompt", "seed"])
    for field in ({"sd_lcm_lora": True}, {"sd_steps": 3}, {"hd_strategy": "Crop"},
                  {"cv2_radius": 3}, {"promt": "x"}):  # fmt: skip
        (name,) = field
        assert f"'{name}'" in refused(lambda **fields: native(bare, **fields), **field)
    made = iopaint(bare, sd_lcm_lora=True, sd_steps=0, hd_strategy="Crop", cv2_radius=3, promt="x")
    assert not made.params.sd_lcm_lora
    assert made.params.sd_steps == 50


def test_a_refusal_tells_what_would_be_read():
    said = refused(native, hd_strategy="Crop")
    for name in ("model", "format", "prompt", "sd_seed", "use_croper", "sd_mask_blur"):
        assert name in said


def test_an_erase_model_refuses_what_only_a_prompt_needs():
    spec = fake_spec(reads=["seed"])
    for name in ("prompt", "use_croper", "sd_mask_blur", "sd_seed"):
        assert f"'{name}'" in refused(lambda **fields: native(spec, **fields), **{name: "1"})
    made = native(spec, seed=3)
    assert isinstance(made, EraseOrder)
    assert isinstance(made.options, StrategyOptions)
    assert not {"sd_seed", "use_croper"} & set(takes(spec))


@pytest.mark.parametrize("name", ["seed", "sd_seed"])
def test_a_stated_seed_is_the_orders_and_the_models(name):
    for value in (0, 5, "5", SEED_MAX):
        made = native(**{name: value})
        assert made.seed == made.params.seed == int(value)


def test_an_absent_seed_is_drawn_and_so_is_minus_one():
    drawn = [native(**fields) for fields in ({}, {"sd_seed": -1}, {"sd_seed": "-1"}) * 4]
    assert all(made.seed == made.params.seed for made in drawn)
    assert all(0 <= made.seed <= SEED_MAX for made in drawn)
    assert len({made.seed for made in drawn}) > 6


def test_two_names_of_the_seed_at_once_are_refused():
    said = refused(native, seed=1, sd_seed=1)
    assert "'seed'" in said
    assert "'sd_seed'" in said


def test_iopaints_seed_is_42_or_what_is_sent_or_drawn_as_iopaint_draws():
    assert iopaint().seed == 42
    assert iopaint(sd_seed=7).params.seed == 7
    drawn = [iopaint(sd_seed=-1).seed for _ in range(20)]
    assert all(1 <= seed <= 99_999_999 for seed in drawn)
    assert len(set(drawn)) > 10


def test_the_extender_paints_at_full_strength():
    extended = {"use_extender": True, "sd_strength": 0.5}
    assert iopaint(**extended).params.sd_strength == 1.0
    assert iopaint(**extended, use_croper=True).params.sd_strength == 1.0
    said = refused(native, **extended)
    assert "use_extender" in said
    assert "sd_strength" in said
    assert native(use_extender=True, sd_strength=1).options.use_extender
    assert native(**extended, use_croper=True).params.sd_strength == 0.5  # the croper wins


def test_quality_is_the_servers_on_iopaints_route():
    assert iopaint().quality == 90
    assert native(quality=80, format="jpg").quality == 80


def test_text_is_erased_by_erase_models_only():
    with pytest.raises(ParamsError, match=r"painter.*kind 'erase'"):
        make_erase_order(painter(), InpaintFields(), {}, Deadline.after(9))


CANNY, OPENPOSE = (
    fake_adapter(f"a/{what}", f"controlnet-{what}") for what in ("canny", "openpose")
)


def controlled(**fields):
    found = Found(painter(), [CANNY, OPENPOSE])
    return read_order(Body({}, fields), lambda name: found, Deadline.after(9))


def test_an_order_tells_which_adapters_it_needs():
    assert controlled().adapters == {}
    assert controlled(enable_controlnet=True).adapters == {CANNY.role: CANNY}
    made = controlled(enable_controlnet="true", controlnet_method="a/openpose")
    assert made.adapters == {OPENPOSE.role: OPENPOSE}
    assert "a/canny, a/openpose" in refused(
        controlled, enable_controlnet=True, controlnet_method="a/depth"
    )


def test_what_belongs_to_a_switch_that_is_off_is_checked_and_has_no_effect():
    boxes = {"croper_x": 5, "extender_width": 9}
    made = controlled(controlnet_method="a/depth", fitting_degree=0.5, **boxes)
    assert made.adapters == {}
    assert (made.options.use_croper, made.options.use_extender) == (False, False)
    for name, value in (("croper_width", 0), ("controlnet_conditioning_scale", 3),
                        ("powerpaint_task", "paint"), ("fitting_degree", 0)):  # fmt: skip
        assert name in refused(controlled, **{name: value})


@pytest.mark.parametrize("kind", ["diffusion", "erase"])
def test_an_example_goes_only_to_a_model_that_reads_one(kind):
    def read(reads, data=b"picture"):
        spec = fake_spec(kind=kind, reads=reads)
        return read_order(Body({EXAMPLE: data}), lambda name: Found(spec), Deadline.after(9))

    assert f"does not read '{EXAMPLE}'" in refused(lambda: read([]))
    assert read([EXAMPLE]).spec.reads == (EXAMPLE,)
    assert read([], b"").spec.reads == ()  # a form's field that was left open


def test_clashes_are_refused_natively_and_resolved_on_iopaints_api():
    fields = {"enable_brushnet": True, "enable_controlnet": True}
    adapters = [CANNY, fake_adapter("a/brush", "brushnet")]
    found = Found(painter(), adapters)
    said = refused(lambda: read_order(Body({}, fields), lambda name: found, Deadline.after(9)))
    assert "enable_brushnet does not go with enable_controlnet" in said
    asked = IOPaintFields.model_validate(fields)
    made = order_of(asked, 90, lambda name: found, Deadline.after(9))
    assert [adapter.name for adapter in made.adapters.values()] == ["a/brush"]
