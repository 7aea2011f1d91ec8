"""What the overload's and the soak's scripts make of what they have measured."""

from collections import Counter
from xml.etree import ElementTree

import pytest

from benchmarks.load import Outcome
from benchmarks.overload import Bound, growth, point, wrong_with
from benchmarks.processes import Held
from benchmarks.soak import Look, drawn, judge
from benchmarks.soak_requests import Kind
from serve_app.charts import Line, Panel, nice_ticks, write


def outcome(status, retry_after_s=None, detail="", sent_s=0.0, took_s=1.0):
    return Outcome("erase", sent_s, took_s, status, retry_after_s, detail)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (outcome(200), ""),
        (outcome(503, 1.0, "{}"), ""),
        (outcome(503, None, "dropped"), "503 without Retry-After: dropped"),
        (outcome(504, None, "late"), "504: late"),
        (outcome(0, None, "ReadError"), "0: ReadError"),
    ],
)
def test_only_an_answer_or_a_refusal_with_retry_after_is_right(one, words):
    assert wrong_with(one) == words


def test_the_queue_ahead_is_the_familys_unless_the_ingress_is_full_first():
    assert Bound(queued=64, replica=16, ingress=256, proxy=128).ahead == 80
    assert Bound(queued=64, replica=16, ingress=64, proxy=128).ahead == 192


def test_a_point_counts_from_the_first_request_to_the_last_answer():
    outcomes = [outcome(200, sent_s=5), outcome(200, sent_s=6, took_s=9), outcome(500, sent_s=7),
                outcome(503, 1.0, "{"), outcome(503, 1.0, "plain")]  # fmt: skip
    found = point(2.0, [one for one in outcomes if one.sent_s or one.status == 503])
    assert (found.summary.good, found.refused, found.by_proxy) == (2, 2, 1)
    assert found.seconds == 15
    assert sum(found.wrong.values()) == 1


def test_memory_growth_compares_the_last_quarter_with_the_second():
    memory = [(float(second), 100.0 + second, 0.0) for second in range(-3, 50)]
    assert growth(memory, 40) == pytest.approx(134.5 / 114.5)


@pytest.mark.parametrize(
    ("most", "last"), [(0.07, 0.08), (1, 1), (9.9, 10), (101, 125), (2000, 2000)]
)
def test_ticks_are_round_and_reach_the_largest_value(most, last):
    ticks = nice_ticks(most)
    assert ticks[0] == 0
    assert ticks[-1] == pytest.approx(last)
    assert 3 <= len(ticks) <= 8


def test_a_plot_is_svg_with_a_curve_for_each_line_inside_its_frame(tmp_path):
    lines = [Line("a<b", [(0, 1), (10, 50)]), Line("c", [(5, 20)])]
    write(tmp_path / "new" / "plot.svg", [Panel("t", "x", "y", lines, limit=60)] * 2)
    root = ElementTree.parse(tmp_path / "new" / "plot.svg").getroot()  # noqa: S314  our own
    curves = root.findall(".//{*}polyline")
    assert len(curves) == 4
    points = [tuple(map(float, pair.split(","))) for pair in curves[0].get("points").split()]
    assert points[0][0] < points[1][0] <= float(root.get("width"))
    assert points[0][1] > points[1][1] > 0
    assert "a<b" in {text.text for text in root.findall(".//{*}text")}


def look(requests, mib, threads=10, pid=1, stored=0.5):
    held = [Held(pid, "Erase", "replica", mib, threads, 20), Held(9, "gcs", "ray", mib, 5, 5)]
    return Look(requests, held, {"ServeReplica": 1}, stored, 1)


def missed(*looks, wrong=()):
    return [words for words, is_met in judge(looks, Counter(wrong), 100).items() if not is_met]


def test_a_soak_that_stays_as_it_was_meets_every_goal():
    warming = [look(0, 10, threads=2, pid=1), look(50, 300)]
    assert missed(*warming, *(look(100 * n, 100 + n % 2) for n in range(1, 9))) == []


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ([look(n, 104) for n in (700, 800, 900)], "memory after warm-up"),
        ([look(900, 100, threads=15)], "no threads or files leaked"),
        ([look(900, 100, pid=2)], "no process was replaced"),
        ([look(900, 100, stored=0.7)], "object store"),
    ],
)
def test_a_soak_tells_what_has_grown(last, words):
    [goal] = missed(look(0, 50), *(look(100 * n, 100) for n in range(1, 4)), *last)
    assert goal.startswith(words)


def test_a_soak_tells_answers_that_were_not_expected():
    [goal] = missed(*(look(100 * n, 100) for n in range(7)), wrong=["cv2: 500"])
    assert "cv2: 500" in goal


async def never(client, number):
    raise AssertionError


def test_each_round_of_the_soak_has_every_kind_by_its_share_in_the_same_order_each_time():
    known = [Kind(str(share), share, frozenset({200}), never) for share in (1, 2, 4)]
    names = [kind.name for kind in drawn(known, 20)]
    assert names == [kind.name for kind in drawn(known, 20)]
    for first in (0, 7):
        assert Counter(names[first : first + 7]) == {"1": 1, "2": 2, "4": 4}
    assert names[:7] != names[7:14]
