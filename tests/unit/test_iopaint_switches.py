"""Which of IOPaint's switches act, against its own rules written out as steps."""

from itertools import product

import pytest

from inpaint.deadlines import Deadline
from inpaint.examples import EXAMPLE
from inpaint.specs import DiffusionFacts
from serve_app.iopaint.fields import IOPaintFields, PowerPaintTask, order_of
from serve_app.orders import Found
from tests.fakes import fake_adapter, fake_spec

ADAPTERS = [
    fake_adapter("a/lora", "lcm-lora", bases=["sd15", "sdxl"]),
    fake_adapter("a/canny", "controlnet-canny"),
    fake_adapter("a/openpose", "controlnet-openpose"),
    fake_adapter("a/canny-xl", "controlnet-canny", bases=["sdxl"]),
    fake_adapter("a/random", "brushnet", inpainting=False),
    fake_adapter("a/segments", "brushnet", inpainting=False),
    fake_adapter("a/random-xl", "brushnet", bases=["sdxl"], inpainting=False),
    fake_adapter("a/power", "powerpaint-v2", inpainting=False),
]
MODELS = [("sd15", False), ("sd15", True), ("sdxl", False), ("sdxl", True)]
SWITCHES = (
    "enable_controlnet",
    "enable_brushnet",
    "enable_powerpaint_v2",
    "sd_lcm_lora",
    "use_extender",
)


def model(base="sd15", inpainting=False):
    facts = DiffusionFacts(base=base, inpainting=inpainting)
    spec = fake_spec("painter", kind="diffusion", diffusion=facts)
    return Found(spec, [adapter for adapter in ADAPTERS if adapter.fits(spec)])


def params(found=None, **fields):
    asked = IOPaintFields.model_validate(fields)
    order = order_of(asked, 100, lambda name: found or model(), Deadline.after(9))
    return order.params


def iopaints_choice(base, inpainting, sent):
    """What IOPaint 1.6 runs: one of its classes, whether LCM-LoRA is in, and the strength."""
    control, lora = sent["enable_controlnet"], sent["sd_lcm_lora"]
    strength = 1.0 if sent["use_extender"] else 0.5
    if sent["enable_brushnet"]:  # its request's validator
        control = lora = False
    if control:  # the order of its init_model, with what its ModelInfo says of each type
        name = "plain" if sent["use_extender"] else "enable_controlnet"  # of weight 0
    elif sent["enable_brushnet"] and not inpainting:
        name, strength = "enable_brushnet", 1.0
    elif sent["enable_powerpaint_v2"] and base == "sd15" and not inpainting:
        name, strength = "enable_powerpaint_v2", 1.0
    else:
        name = "plain"
    return name, lora, strength


@pytest.mark.parametrize(("base", "inpainting"), MODELS)
def test_what_acts_is_what_iopaint_would_run(base, inpainting):
    for values in product((False, True), repeat=len(SWITCHES)):
        sent = dict(zip(SWITCHES, values, strict=True))
        made = params(model(base, inpainting), sd_strength=0.5, **sent)
        on = [name for name in SWITCHES[:3] if getattr(made, name)]
        assert len(on) < 2, sent
        found = (on[0] if on else "plain", made.sd_lcm_lora, made.sd_strength)
        assert found == iopaints_choice(base, inpainting, sent), sent


def test_iopaints_extender_silences_controlnet_even_where_the_croper_wins():
    fields = {"use_extender": True, "use_croper": True, "enable_controlnet": True}
    assert not params(**fields).enable_controlnet


@pytest.mark.parametrize(
    ("found", "field", "sent", "expected"),
    [
        (model(), "controlnet_method", "a/openpose", "a/openpose"),
        (model(), "controlnet_method", "a/canny-xl", None),
        (model("sdxl"), "controlnet_method", "a/openpose", None),
        (model("sdxl"), "controlnet_method", "a/canny-xl", "a/canny-xl"),
        (model(), "controlnet_method", "a/random", None),
        (model(), "brushnet_method", "a/segments", "a/segments"),
        (model("sdxl"), "brushnet_method", "a/segments", None),
        (model(), "brushnet_method", "", None),
    ],
)
def test_the_first_that_fits_takes_the_place_of_another_models_method(found, field, sent, expected):
    assert getattr(params(found, **{field: sent}), field) == expected


def test_iopaints_defaults_choose_the_first_that_fits():
    for base, controlnet, brushnet in (
        ("sd15", "a/canny", "a/random"),
        ("sdxl", "a/canny-xl", "a/random-xl"),
    ):
        fields = IOPaintFields(enable_controlnet=True), IOPaintFields(enable_brushnet=True)
        orders = [
            order_of(asked, 100, lambda name, base=base: model(base), Deadline.after(9))
            for asked in fields
        ]
        names = [[adapter.name for adapter in order.adapters.values()] for order in orders]
        assert names == [[controlnet], [brushnet]]


def test_what_nothing_fits_is_off():
    bare = Found(model().spec)
    for name in SWITCHES[:4]:
        assert not getattr(params(bare, **{name: True}), name)


def test_numbers_and_the_task_arrive():
    fields = {"controlnet_conditioning_scale": 0.25, "brushnet_conditioning_scale": 0.75,
              "fitting_degree": 0.5, "powerpaint_task": "object-remove"}  # fmt: skip
    made = params(**fields)
    assert {name: getattr(made, name) for name in fields} == fields
    for task in PowerPaintTask:
        assert params(powerpaint_task=task.value).powerpaint_task == task.value


def test_the_example_is_no_parameter():
    spec = fake_spec("shower", kind="diffusion", reads=[EXAMPLE, "sd_steps"])
    assert params(Found(spec), sd_steps=3, **{EXAMPLE: "aGVsbG8="}).sd_steps == 3
