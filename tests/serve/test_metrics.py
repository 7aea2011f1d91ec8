"""The metrics that a live service exports, and what the dashboard asks of them."""

import math
import re
import time

import httpx
import numpy as np
import pytest

from deployments.metrics import REPEAT_S
from inpaint.buckets import SECONDS
from k8s.panels import ROWS
from tests.conftest import png
from tests.serve.conftest import wait_for
from tests.serve.scraping import Scrape, scrape, scrape_at_rest

ROUTE, SERIES = "/inpaint", "ray_inpaint_requests_total"
ADDED = {"deployment", "replica", "application", "WorkerId", "SessionName", "Version",
         "Component", "NodeAddress", "otel_scope_name", "otel_scope_version",
         "otel_scope_schema_url"}  # fmt: skip
"""Tags that Serve, Ray and its exporter put on every series."""
GAUGES_S = 40
"""A gauge that a busy process did not export in time is absent from a scrape, and comes again."""
EXPORTS_S = 40
FINE = 7
"""Requests that are answered with a picture."""


def send(client, image, mask, route=ROUTE, **fields):
    files = {"image": png(image)} | ({} if mask is None else {"mask": png(mask)})
    return client.post(route, files=files, data=fields, headers=fields.pop("headers", {}))


class Change:
    """What came between two scrapes."""

    def __init__(self, before, after):
        self.before, self.after = before, after

    def of(self, name, **tags):
        return self.after.sum(name, **tags) - self.before.sum(name, **tags)

    def is_complete(self):
        """Whether every process has exported what the tests look for."""
        return all(self.of(name, **tags) >= count for name, tags, count in COUNTS)


@pytest.fixture(scope="module")
def change(url):
    """Requests of every kind between two scrapes, the second one when all are counted."""
    rng = np.random.default_rng(8)
    image = rng.integers(60, 256, (96, 128, 3), np.uint8)
    image[0, 0] = (7, 7, 7)
    red = image.copy()
    red[0, 0] = (255, 0, 0)
    text = image.copy()
    text[30:45, 30:90] = 0
    mask = np.zeros((96, 128), np.uint8)
    mask[40:60, 50:80] = 255
    before = scrape_at_rest()
    with httpx.Client(base_url=url, timeout=60) as client:
        statuses = [send(client, image, mask, model="mean-fill").status_code for _ in range(FINE)]
        assert statuses == [200] * FINE
        assert send(client, image, mask, model="nobody-has-this").status_code == 404
        assert send(client, red, mask, model="broken").status_code == 503
        assert send(client, red, mask, model="deadly", hd_strategy="Original").status_code == 503
        headers = {"x-timeout-seconds": "0.3"}
        assert send(client, image, mask, model="slow", headers=headers).status_code == 504
        assert send(client, image, mask, model="steps", sd_steps=2).status_code == 200
        assert send(client, text, None, "/remove-text", model="cv2").status_code == 200
        assert client.get("/nowhere/secret-word").status_code == 404

        wait_for(lambda: client.get("/readyz").status_code == 200, 60)  # Fragile is back
    end = time.monotonic() + EXPORTS_S
    change = Change(before, scrape())
    while not change.is_complete() and time.monotonic() < end:
        time.sleep(0.5)
        change = Change(before, scrape())
    return change


COUNTS = [
    (SERIES, {"route": ROUTE, "family": "Erase", "model": "mean-fill", "status": "200"}, FINE),
    (SERIES, {"route": ROUTE, "family": "none", "model": "none", "status": "404"}, 1),
    (SERIES, {"route": ROUTE, "family": "Narrow", "model": "slow", "status": "504"}, 1),
    (SERIES, {"route": ROUTE, "family": "Steps", "model": "steps", "status": "200"}, 1),
    (SERIES, {"route": "/remove-text", "family": "Erase", "model": "cv2", "status": "200"}, 1),
    (SERIES, {"route": "OTHER", "family": "none", "model": "none", "status": "404"}, 1),
    ("ray_inpaint_errors_total", {"family": "none", "code": "unknown-model"}, 1),
    ("ray_inpaint_errors_total", {"family": "Erase", "code": "out-of-memory"}, 1),
    ("ray_inpaint_errors_total", {"family": "Fragile", "code": "replica-lost"}, 1),
    ("ray_inpaint_errors_total", {"family": "Narrow", "code": "deadline"}, 1),
    ("ray_inpaint_errors_total", {"route": "OTHER", "code": "not-found"}, 1),
    ("ray_inpaint_retries_total", {"family": "Fragile"}, 1),
    ("ray_inpaint_request_seconds_count", {"route": ROUTE, "model": "mean-fill"}, FINE),
    ("ray_inpaint_stage_seconds_count", {"family": "Steps", "stage": "blend"}, 1),
    ("ray_inpaint_stage_seconds_count", {"stage": "verify"}, 1),
    ("ray_inpaint_forward_seconds_count", {"family": "Erase", "model": "mean-fill"}, FINE),
    ("ray_inpaint_forward_seconds_count", {"family": "Steps", "model": "steps"}, 1),
    ("ray_inpaint_queue_seconds_count", {"family": "Erase", "model": "mean-fill"}, FINE),
    ("ray_inpaint_batch_items_sum", {"family": "Erase", "model": "mean-fill"}, FINE),
    ("ray_inpaint_cancelled_runs_total", {"family": "Narrow", "model": "slow"}, 1),
    (
        "ray_inpaint_model_failures_total",
        {"family": "Erase", "model": "broken", "work": "forward", "code": "out-of-memory"},
        1,
    ),
]


@pytest.mark.parametrize(("name", "tags", "count"), COUNTS)
def test_every_event_is_counted_once(change, name, tags, count):
    assert change.of(name, **tags) == count


def test_loads_and_evictions_are_counted(change):
    erase = {"family": "Erase", "model": "mean-fill"}
    assert change.after.sum("ray_inpaint_model_load_seconds_count", **erase) >= 1
    assert change.of("ray_inpaint_model_evictions_total", **erase) >= 1  # memory ran out


def test_models_that_were_loaded_are_held_until_they_are_evicted(change):
    held = "ray_inpaint_model_held_bytes"
    for _ in range(2):  # a gauge that nobody repeats would be gone the second time
        time.sleep(REPEAT_S)
        wait_for(lambda: scrape().sum(held, family="Steps", model="steps") == 2**20, GAUGES_S)
    wait_for(lambda: scrape().of(held, family="Erase", model="mean-fill"), GAUGES_S)
    assert change.after.sum(held, family="Erase", model="mean-fill") == 0


def test_seconds_and_bytes_are_of_a_plausible_size(change):
    name, tags = "ray_inpaint_request_seconds", {"route": ROUTE, "model": "steps"}
    under = {
        float(found["le"]): value for found, value in change.after.of(f"{name}_bucket", **tags)
    }
    assert set(under) == {*SECONDS, math.inf}
    steps_s = 2 * 0.3  # STEPS_MODEL_STEP_S
    assert change.of(f"{name}_bucket", **tags, le=f"{steps_s - 0.1:g}") == 0
    assert change.of(f"{name}_count", **tags) == 1
    received = change.of("ray_inpaint_received_bytes_total", route=ROUTE)
    assert (FINE + 5) * 96 * 128 * 3 < received < (FINE + 5) * 96 * 128 * 6  # PNG of noise
    assert FINE * 96 * 128 * 2 < change.of("ray_inpaint_sent_bytes_total", route=ROUTE) < received


def test_tags_hold_nothing_that_a_client_wrote(change):
    ours = [sample for sample in change.after.samples if sample[0].startswith("ray_inpaint_")]
    assert len(ours) > 100
    words = {value for _, tags, _ in ours for value in tags.values()}
    assert not [word for word in words if "secret-word" in word or "nobody-has-this" in word]
    known = {"route", "family", "model", "status", "stage", "code", "work", "outcome", "le"}
    assert {tag for _, tags, _ in ours for tag in tags} <= known | ADDED


def queries():
    return [query.expr for row in ROWS.values() for panel in row for query in panel.queries]


def names_in(query):
    return set(re.findall(r"\bray_\w+(?={)", query))


RARE = {
    "ray_inpaint_cold_wait_seconds_count": "wants a cluster that can grow; test_capacity.py",
    "ray_inpaint_downloaded_bytes_total": "wants missing weights; test_weights.py",
    "ray_inpaint_downloads_total": "wants missing weights; test_weights.py",
    "ray_serve_health_check_failures_total": "wants a replica that hangs; Serve's own",
}


def test_the_dashboard_asks_for_what_is_exported(change, client):
    asked = {name for query in queries() for name in names_in(query)} - set(RARE)
    assert len(asked) > 25
    seen = set(change.after.names)

    def are_seen():
        client.get("/healthz")  # some gauges of Serve's are exported while requests come
        seen.update(scrape().names)
        return asked <= seen

    wait_for(are_seen, GAUGES_S)


def test_the_dashboard_groups_and_selects_by_tags_that_are_there(change):
    missing, after = [], Scrape([*change.after.samples, *scrape().samples])
    for query in queries():
        grouped = [tag for by in re.findall(r"by \(([^)]*)\)", query) for tag in by.split(", ")]
        selected = re.findall(r'(\w+)(?:=~|!~|=)"', query)
        for name in names_in(query) - set(RARE):
            tags = {*grouped, *selected} - {"ray_io_cluster"}  # put on by the PodMonitors
            missing += [(name, tag) for tag in tags if tag not in after.tags_of(name)]
    assert not missing


def test_serve_knows_its_rare_metrics_by_these_names():
    import inspect

    from ray.serve._private import deployment_state

    source = inspect.getsource(deployment_state)
    serves = [name.removeprefix("ray_") for name in RARE if name.startswith("ray_serve_")]
    assert serves
    assert all(f'"{name}"' in source for name in serves)
