"""What a request may not ask for together."""

from itertools import combinations

import pytest

from inpaint.combinations import check_together
from inpaint.diffusion import DiffusionOptions
from inpaint.errors import ParamsError
from inpaint.params import DiffusionParams

LCM = {"sd_lcm_lora": True}
CONTROL = {"enable_controlnet": True}
BRUSH = {"enable_brushnet": True}
POWER = {"enable_powerpaint_v2": True}
WEAK = {"sd_strength": 0.5}
EXTEND = {"use_extender": True}
CROP = {"use_croper": True}
THINGS = (LCM, CONTROL, BRUSH, POWER, WEAK, EXTEND)

REFUSED = [
    (BRUSH, CONTROL),
    (BRUSH, LCM),
    (BRUSH, POWER),
    (BRUSH, WEAK),
    (POWER, CONTROL),
    (POWER, LCM),
    (POWER, WEAK),
    (EXTEND, CONTROL),
    (EXTEND, WEAK),
]


def name_of(thing):
    (name,) = thing
    return name


def check(*things):
    fields = {name: value for thing in things for name, value in thing.items()}
    options = {name: fields.pop(name) for name in ("use_extender", "use_croper") if name in fields}
    check_together(DiffusionParams(**fields), DiffusionOptions(**options))


@pytest.mark.parametrize("pair", REFUSED, ids=lambda pair: "+".join(map(name_of, pair)))
def test_what_excludes_each_other_is_refused_by_both_names(pair):
    with pytest.raises(ParamsError) as raised:
        check(*pair)
    for thing in pair:
        assert name_of(thing) in raised.value.detail


def test_every_other_pair_is_taken():
    taken = [
        pair
        for pair in combinations(THINGS, 2)
        if pair not in REFUSED and pair[::-1] not in REFUSED
    ]
    assert len(taken) == 15 - len(REFUSED)
    for pair in taken:
        check(*pair)
    for thing in THINGS:
        check(thing)


def test_all_clashes_are_told_at_once():
    with pytest.raises(ParamsError) as raised:
        check(BRUSH, CONTROL, WEAK)
    assert raised.value.detail.count("does not go with") == 2


def test_an_extender_that_the_croper_overrules_excludes_nothing():
    check(EXTEND, CROP, CONTROL)
    check(EXTEND, CROP, WEAK)
