"""The comparison with IOPaint itself: a blind one would call everything equal."""

import io
import json
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.api_parity.calls import Answer, Case, get
from benchmarks.api_parity.compare import Comparison, Difference, compare
from benchmarks.api_parity.expected import EXPECTED, Expected
from benchmarks.api_parity.other_cases import (
    file_cases,
    last_cases,
    refused_cases,
    switch_cases,
    tool_cases,
)
from benchmarks.api_parity.picture_cases import picture_cases
from benchmarks.api_parity.report import judge

ROOT = Path(__file__).parents[2]
NOISE = np.random.default_rng(0).integers(0, 200, (12, 16, 3), np.uint8)


def all_names():
    groups = [
        *(picture_cases(model, 0) for model in ("cv2", "lama")),
        *(tool_cases(), refused_cases(), switch_cases("lama"), last_cases(), file_cases()),
    ]
    return [case.name for group in groups for case in group]


def picture(array, format="PNG", status=200, seed="42", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format, **options)
    headers = {"content-type": f"image/{format.lower()}", "x-seed": seed}
    return Answer(status, headers, buffer.getvalue())


def of_json(content, status=200, **headers):
    kind = {"content-type": "application/json; charset=utf-8"}
    return Answer(status, {**kind, **headers}, json.dumps(content).encode())


def changes(theirs, ours, truth=None, **options):
    case = Case("a case", lambda: get("model"), **options)
    return {
        change.aspect: change.change for change in compare(case, theirs, ours, truth).differences
    }


def test_docs_show_the_table_of_expected_differences():
    section = (ROOT / "docs/parity.md").read_text().split("## API: differences by case")[1]
    shown = [line for line in section.split("\n## ")[0].splitlines() if line.startswith("| `")]
    assert shown == [entry.row() for entry in EXPECTED]


def test_docs_state_how_many_cases_there_are():
    names = all_names()
    assert f"sends {len(names)} calls" in (ROOT / "docs/parity.md").read_text()
    assert len(set(names)) == len(names)


def test_every_expected_difference_speaks_of_a_case():
    names = all_names()
    patterns = [pattern for entry in EXPECTED for pattern in entry.cases]
    assert not [
        pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)
    ]


def test_equal_answers_do_not_differ():
    error = {"error": "A", "detail": "one", "body": "", "errors": "one"}
    assert not changes(picture(NOISE), picture(NOISE))
    assert not changes(of_json(error, 500), of_json({**error, "error": "B"}, 500))


@pytest.mark.parametrize(
    ("theirs", "ours", "aspect", "change"),
    [
        (of_json({}, 200), of_json({}, 404), "status", "200 → 404"),
        (Answer(0, {}, b""), of_json({}, 500), "status", "no answer → 500"),
        (of_json(1), Answer(200, {"content-type": "text/plain"}, b"1"), "body", "JSON → 1 bytes"),
        (of_json({}, allow="GET"), of_json({}), "allow", "GET → none"),
        (
            of_json({}, **{"access-control-allow-origin": "*"}),
            of_json({}),
            "CORS",
            "allow-origin * → none",
        ),
        (of_json(None), of_json({"a": 1}), "body", "null → an object"),
        (
            of_json({"a": [{"b": 1}]}),
            of_json({"a": [{"b": "1"}], "c": None}),
            "body",
            "a[].b number → text; c absent → null",
        ),
        (
            of_json({"detail": [{"msg": "m", "input": 3}]}, 422),
            of_json({"detail": [{"msg": "n"}]}, 422),
            "detail",
            "echoes input → does not",
        ),
        (picture(NOISE), picture(NOISE, seed="7"), "X-Seed", "42 → 7"),
        (picture(NOISE), picture(NOISE, "BMP"), "format", "PNG → BMP"),
        (picture(NOISE), picture(NOISE[:5]), "size", "(12, 16) → (5, 16)"),
        (picture(NOISE), picture(NOISE, dpi=(72, 72)), "dpi", "none → 72x72"),
        (picture(NOISE), picture(NOISE, icc_profile=b"123"), "ICC", "none → 3 bytes"),
    ],
)
def test_what_clients_see_is_compared(theirs, ours, aspect, change):
    assert changes(theirs, ours)[aspect] == change


def test_values_of_json_count_where_the_case_says_so():
    answers = of_json({"a": 1, "b": 2}), of_json({"a": 1, "b": 3})
    assert not changes(*answers)
    assert changes(*answers, has_values=True) == {"values": "b: 2 → 3"}


def test_a_random_seed_must_lie_in_iopaints_range():
    answers = [picture(NOISE, seed=seed) for seed in ("5", "99999999", "100000000")]
    assert not changes(answers[0], answers[1], is_seed_random=True)
    assert "X-Seed" in changes(answers[0], answers[2], is_seed_random=True)


def test_a_single_pixel_counts_down_to_the_given_levels():
    off = NOISE.copy()
    off[3, 4, 1] += 2
    assert changes(picture(NOISE), picture(off)) == {"pixels": "by up to 2"}
    assert changes(picture(NOISE), picture(off), levels=1) == {"pixels": "by up to 2"}
    assert not changes(picture(NOISE), picture(off), levels=2)


def test_alpha_is_compared_where_both_have_it():
    opaque, faint = (np.dstack([NOISE, np.full((12, 16), alpha, np.uint8)]) for alpha in (255, 90))
    assert changes(picture(opaque), picture(faint)) == {"pixels": "by up to 165"}
    assert changes(picture(NOISE), picture(faint)) == {"alpha": "none → kept"}


def test_our_picture_is_held_against_the_twin_even_where_iopaint_fails():
    off = NOISE.copy()
    off[0, 0, 0] += 9
    failed = of_json({}, 500)
    found = changes(failed, picture(off), truth=picture(NOISE))
    assert found == {"status": "500 → 200", "pixels of the twin": "by up to 9"}
    assert changes(failed, picture(NOISE), truth=picture(NOISE)) == {"status": "500 → 200"}


def test_a_lossy_answer_may_differ_but_not_lose_more_than_iopaints():
    truth = picture(NOISE)
    rough, fine = (picture(NOISE, "JPEG", quality=quality) for quality in (80, 100))
    assert not changes(rough, fine, truth=truth, is_lossy=True)
    assert set(changes(fine, rough, truth=truth, is_lossy=True)) == {"loss"}


def judged(found, table):
    answer = of_json({})
    return judge("cv2, a thing", answer, answer, Comparison(tuple(found)), table)


def test_only_the_announced_change_of_an_announced_case_is_expected():
    table = [Expected(("*, a thing",), {"status": "500 → 200"}, "why")]
    assert judged([Difference("status", "500 → 200")], table).verdict == "expected"
    assert judged([Difference("status", "500 → 404")], table).verdict == "unexpected"
    assert judged([Difference("status", "500 → 200")], []).verdict == "unexpected"
    assert judged([], []).verdict == "equal"


def test_a_change_that_no_longer_happens_is_told_unless_it_varies():
    steady = Expected(("*",), {"pixels": None}, "why")
    varying = Expected(("*",), {"pixels": None}, "why", is_certain=False)
    assert judged([], [steady]).missing == ("pixels",)
    assert judged([], [varying]).verdict == "equal"
