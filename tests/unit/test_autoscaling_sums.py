"""What the autoscaling simulation makes of what it has measured."""

import json
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import yaml

from benchmarks.autoscaling.capacity import MILLION_A_DAY, Work, longest_wait_s, need
from benchmarks.autoscaling.edge_cost import Cost
from benchmarks.autoscaling.growth import Found as Growth
from benchmarks.autoscaling.isolation import Found as Isolation
from benchmarks.autoscaling.results import (
    cost_panel,
    draw,
    growth_panel,
    isolation_panel,
    keep,
    throughput_panel,
)
from benchmarks.autoscaling.simulation import SHIPPED, seconds_of, shipped
from benchmarks.autoscaling.throughput import SLIDE_S, Point, rate_of
from benchmarks.load import summarise

COST = Cost("Erase, 1024 px", 36, 0, 300.0, 400.0, {"proxy": 6.0, "Ingress": 36.0}, 1.0)
WORK = Work(seconds=1.0, gpus=0.25, pixels=1024 * 1024)


@pytest.mark.parametrize("first", [0.0, 0.7, 1.9, 3.999])
def test_the_rate_does_not_hang_on_where_the_window_begins(first):
    batches = [first + 4.0 * number for number in range(20) for _ in range(4)]
    assert rate_of(batches, 10, 10 + SLIDE_S + 30) == pytest.approx(1.0, rel=0.001)


def test_a_pause_lowers_the_rate_by_its_share_of_the_middle():
    moments = [0.01 * number for number in range(5000) if not 20 <= 0.01 * number < 23]
    assert rate_of(moments, 0, SLIDE_S + 30) == pytest.approx(100 * (1 - 3 / 30), rel=0.001)


def test_answers_outside_do_not_count():
    assert rate_of([-5.0, 99.0], 0, SLIDE_S + 30) == 0


def test_a_thousand_a_second_need_the_cores_they_take_at_the_assumed_use():
    found = need(COST, WORK, 1000)
    assert found.proxies == 10  # 6 cores at 0.6
    assert found.ingresses == 60  # 36 cores at 0.6
    assert found.edge_nodes == 10
    assert found.models == 1250  # 1000 replicas at 0.8
    assert found.gpus == 313  # four on each, 312.5
    assert found.clients_gbit == pytest.approx(5.6)  # 700 kB x 8 x 1000
    assert found.tiles_gbit == pytest.approx(58.72, abs=0.01)  # 7 x 2^20 B x 8 x 1000
    assert found.store_gb == pytest.approx(34.08, abs=0.01)  # 1250 replicas x 2 x 13.63 MB


def test_edge_nodes_are_as_many_as_proxies_or_as_ingress_replicas_want():
    for_bytes = replace(COST, cpu_ms={"proxy": 60.0, "Ingress": 36.0})
    assert need(for_bytes, WORK, 1000).edge_nodes == 100
    for_pixels = replace(COST, cpu_ms={"proxy": 0.6, "Ingress": 36.0})
    assert need(for_pixels, WORK, 1000).edge_nodes == 10


def test_the_smallest_load_needs_one_of_each():
    found = need(COST, WORK, 0.001)
    assert (found.proxies, found.ingresses, found.edge_nodes, found.models, found.gpus) == (1,) * 5


def test_a_million_a_day_is_some_twelve_a_second():
    assert pytest.approx(11.57, abs=0.005) == MILLION_A_DAY


def test_the_longest_wait_grows_with_the_ingress_replicas_that_have_queues():
    # One replica: 16 requests in each of two queues, two at the replica, 8 s each.
    assert longest_wait_s(queued=16, ingresses=2, ongoing=2, replicas=1, seconds=8) == 272
    assert longest_wait_s(queued=16, ingresses=2, ongoing=2, replicas=4, seconds=8) == 80


def test_what_is_simulated_is_what_is_shipped():
    entries = yaml.safe_load(SHIPPED.read_text())["applications"][0]["deployments"]
    for name in ("Ingress", "Erase", "SD15", "SDXL"):
        assert shipped(name) in entries
    assert [seconds_of(name) for name in ("Erase", "SD15", "SDXL")] == [1, 3, 8]


@pytest.fixture
def found():
    up = {"Erase": {1: 0.0, 2: 10.0, 8: 40.0}, "SD15": {0: 0.0, 4: 45.0}}
    few = summarise([])
    return {
        "growth": Growth(3.0, {"Erase": 10.0}, up, {"Erase": 42.0}, 100, 0),
        "throughput": [Point(name, size, 2, 1.0, 0.95, 0)
                       for name in ("Erase", "SD15") for size in (1, 8)],
        "edge": [COST],
        "isolation": Isolation(few, few, Counter({200: 5, 503: 40}), 8.0),
    }  # fmt: skip


def test_everything_that_was_found_is_kept_under_its_name(tmp_path, found):
    keep(tmp_path / "new" / "found.json", found)
    kept = json.loads((tmp_path / "new" / "found.json").read_text())
    assert kept["growth"]["up_s"]["Erase"] == {"1": 0.0, "2": 10.0, "8": 40.0}
    assert kept["throughput"][3] == {
        "family": "SD15", "replicas": 8, "clients": 2, "rate": 1.0, "share": 0.95, "lost": 0,
    }  # fmt: skip
    assert kept["edge"][0]["cpu_ms"]["Ingress"] == 36.0
    assert kept["isolation"]["flood"] == {"200": 5, "503": 40}


def test_growth_is_drawn_as_steps_and_throughput_beside_the_ideal(found):
    steps = growth_panel(found["growth"]).lines[0].points
    assert steps == [(0.0, 1), (10.0, 1), (10.0, 2), (40.0, 2), (40.0, 8)]
    panel = throughput_panel(found["throughput"])
    curves = {line.name: line.points for line in panel.lines}
    assert curves["Erase"] == [(1, 0.95), (8, pytest.approx(7.6))]
    assert curves["ideal"] == [(0, 0), (8, 8)]
    assert panel.limit == pytest.approx(7.2)


def test_the_picture_has_a_chart_for_each_part_that_ran(tmp_path, found):
    panels = [growth_panel(found["growth"]), throughput_panel(found["throughput"]),
              cost_panel(found["edge"]), isolation_panel(found["isolation"])]  # fmt: skip
    draw(tmp_path / "all.svg", panels)
    root = ElementTree.parse(tmp_path / "all.svg").getroot()  # noqa: S314  our own
    assert len(root.findall("{*}g")) == 4
    draw(tmp_path / "none.svg", [])
    assert not (tmp_path / "none.svg").exists()
