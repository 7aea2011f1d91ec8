import time

import numpy as np
import pytest

from inpaint.errors import ParamsError
from inpaint.text_rules import Fate, TextRules, judge
from inpaint.texts import TextRegion


def line(text="Total: 12", left=10, top=20, width=80, height=16, score=0.9):
    right, bottom = left + width, top + height
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return TextRegion(np.array(corners, np.float32), text, score, 0.8)


def fate(region, **rules):
    return judge([region], TextRules(**rules))[0].fate


def test_everything_is_removed_without_rules():
    assert [entry.fate for entry in judge([line(), line("")], TextRules())] == [Fate.REMOVED] * 2


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"min_score": 0.95}, Fate.KEPT_SCORE),
        ({"min_score": 0.9}, Fate.REMOVED),
        ({"min_height_px": 17}, Fate.KEPT_HEIGHT),
        ({"max_height_px": 15}, Fate.KEPT_HEIGHT),
        ({"min_height_px": 16, "max_height_px": 16}, Fate.REMOVED),
        ({"include": [(0, 0, 30, 30)]}, Fate.KEPT_PLACE),
        ({"include": [(40, 20, 20, 20)]}, Fate.REMOVED),
        ({"include": []}, Fate.KEPT_PLACE),
        ({"exclude": [(40, 20, 20, 20)]}, Fate.KEPT_PLACE),
        ({"exclude": [(5000, 5000, 10, 10)]}, Fate.REMOVED),
        ({"keep": "total"}, Fate.KEPT_PATTERN),
        ({"keep": "sum"}, Fate.REMOVED),
        ({"remove": "sum"}, Fate.KEPT_PATTERN),
        ({"remove": r"\d+"}, Fate.REMOVED),
        ({"keep": "12", "remove": "total"}, Fate.KEPT_PATTERN),
    ],
)
def test_rule_decides(rules, expected):
    assert fate(line(), **rules) is expected


def test_patterns_work_beyond_ascii():
    assert fate(line("禁止转载"), keep="禁止") is Fate.KEPT_PATTERN
    assert fate(line("ÉTÉ"), keep="été") is Fate.KEPT_PATTERN


@pytest.mark.parametrize("pattern", ["(", "[a", "a{5000}", "(?=lookahead)", "*"])
def test_a_pattern_that_is_none_is_refused(pattern):
    with pytest.raises(ParamsError, match="RE2"):
        TextRules(keep=pattern)


def test_a_pattern_that_backtracks_for_ever_elsewhere_ends_at_once():
    began = time.perf_counter()
    assert fate(line("a" * 5000 + "b"), remove="(a+)+$") is Fate.KEPT_PATTERN
    assert time.perf_counter() - began < 0.5
