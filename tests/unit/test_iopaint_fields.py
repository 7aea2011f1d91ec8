"""From IOPaint's fields to an order, without pictures."""

import pytest

from inpaint.deadlines import Deadline
from inpaint.errors import ParamsError
from inpaint.plans import HDStrategy
from serve_app.iopaint.fields import IOPaintFields, order_of
from serve_app.orders import Found
from tests.fakes import fake_spec

STRATEGY = (
    "hd_strategy",
    "hd_strategy_crop_trigger_size",
    "hd_strategy_crop_margin",
    "hd_strategy_resize_limit",
)


def order(spec=None, quality=100, **fields):
    spec = spec or fake_spec()
    asked = IOPaintFields.model_validate(fields)
    return order_of(asked, quality, lambda name: Found(spec), Deadline.after(9))


def test_defaults_are_iopaints():
    made = order(fake_spec(reads=["cv2_flag", "cv2_radius", "ldm_steps", "ldm_sampler"]))
    params, options = made.params, made.options
    assert (params.cv2_flag, params.cv2_radius) == ("INPAINT_NS", 4)
    assert (params.ldm_steps, params.ldm_sampler) == (20, "plms")
    assert [getattr(options, name) for name in STRATEGY[:3]] == [HDStrategy.CROP, 800, 128]
    assert order(hd_strategy="Resize").options.hd_strategy_resize_limit == 1280
    assert (made.quality, made.format) == (100, None)


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"hd_strategy_crop_triger_size": 640}, "hd_strategy_crop_trigger_size", 640),
        (
            {"hd_strategy_crop_triger_size": 640, "hd_strategy_crop_trigger_size": 500},
            "hd_strategy_crop_trigger_size",
            500,
        ),
        (
            {"hd_strategy": "Resize", "hd_trategy_resize_imit": 2048},
            "hd_strategy_resize_limit",
            2048,
        ),
        (
            {
                "hd_strategy": "Resize",
                "hd_trategy_resize_imit": 2048,
                "hd_strategy_resize_limit": "99",
            },
            "hd_strategy_resize_limit",
            99,
        ),
        ({"hd_strategy_crop_trigger_size": -5}, "hd_strategy_crop_trigger_size", 0),
        ({"hd_strategy_crop_margin": 10**6}, "hd_strategy_crop_margin", 4096),
        ({"hd_strategy": "cROP"}, "hd_strategy", HDStrategy.CROP),
        ({"hd_strategy": "Original"}, "hd_strategy", HDStrategy.ORIGINAL),
        ({"hd_strategy": "nonsense"}, "hd_strategy", HDStrategy.ORIGINAL),
        ({"hd_strategy": ""}, "hd_strategy", HDStrategy.ORIGINAL),
    ],
)
def test_strategy_is_read(fields, name, value):
    assert getattr(order(**fields).options, name) == value


def test_misspelt_keys_are_checked_like_the_right_ones():
    with pytest.raises(ValueError, match="hd_strategy_crop_trigger_size"):
        IOPaintFields.model_validate({"hd_strategy_crop_triger_size": "much"})


@pytest.mark.parametrize(
    "fields",
    [
        {"hd_strategy": "Original", "hd_strategy_crop_margin": -1, "hd_strategy_resize_limit": 0},
        {"hd_strategy": "Crop", "hd_strategy_resize_limit": 0},
        {"hd_strategy": "Resize", "hd_strategy_crop_margin": -1},
        {"cv2_radius": -1, "ldm_steps": 0, "ldm_sampler": "unheard-of", "sd_sampler": "?"},
    ],
)
def test_what_has_no_effect_is_not_checked(fields):
    assert order(**fields).spec.name == "toy"


def test_a_model_with_tiles_of_its_own_ignores_the_strategy():
    made = order(
        fake_spec(tiling={"rule": "fixed"}), hd_strategy="Crop", hd_strategy_crop_margin=-9
    )
    assert made.spec.tiling.rule == "fixed"


@pytest.mark.parametrize(
    ("reads", "fields"),
    [
        (["ldm_steps"], {"ldm_steps": 0}),
        (["ldm_sampler"], {"ldm_sampler": "unheard-of"}),
        ([], {"hd_strategy_crop_margin": -1}),
        ([], {"hd_strategy": "Resize", "hd_strategy_resize_limit": 15}),
    ],
)
def test_what_has_an_effect_is_checked_by_name(reads, fields):
    with pytest.raises(ParamsError, match=[*fields][-1]):
        order(fake_spec(reads=reads), **fields)


@pytest.mark.parametrize(("sent", "taken"), [(-3, 1), (0, 1), (1, 1), (100, 100), (1000, 100)])
def test_radius_is_taken_as_opencv_takes_it(sent, taken):
    assert order(fake_spec(reads=["cv2_radius"]), cv2_radius=sent).params.cv2_radius == taken


@pytest.mark.parametrize("sent", [7, -1, 42])
def test_noise_of_models_without_a_prompt_has_their_own_seed(sent):
    made = order(fake_spec(reads=["seed"], default_seed=240), sd_seed=sent)
    assert (made.seed, made.params.seed) == (240, 240)


def test_model_is_looked_up_by_name():
    asked = []

    def find(name):
        asked.append(name)
        return Found(fake_spec())

    for fields in ({}, {"model": "mat"}):
        order_of(IOPaintFields.model_validate(fields), 100, find, Deadline.after(9))
    assert asked == [None, "mat"]
