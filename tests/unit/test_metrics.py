"""What becomes metrics, without Ray: its metric objects work in any process."""

from itertools import pairwise

import pytest
from ray.util import metrics as ray_metrics

from deployments.metrics import DownloadMetrics, LastingGauge, ReplicaMetrics
from inpaint.buckets import SECONDS
from inpaint.errors import OverloadedError
from inpaint.settings import IngressConfig
from serve_app.accounts import Account
from serve_app.metrics import EdgeMetrics


@pytest.fixture
def records(monkeypatch):
    """Everything that is recorded: name, value, tags."""
    seen = []

    def note(metric, value, tags=None):
        assert set(tags) == set(metric.info["tag_keys"])
        assert all(isinstance(tag, str) for tag in tags.values())
        seen.append((metric.info["name"].removeprefix("inpaint_"), value, tags))

    monkeypatch.setattr(ray_metrics.Metric, "_record", note)
    return seen


def settled(**facts):
    account = Account("an-id", "POST", duration_ms=250.0, **facts)
    account.timings.add("decode", 40.0)
    account.timings.add("forward", 150.0)
    EdgeMetrics().settled(account)


def test_an_answered_request_is_recorded_by_route_family_model_and_status(records):
    settled(
        route="/inpaint", family="Erase", model="lama", status=200, received=700, sent=500
    )  # fmt: skip
    place = {"route": "/inpaint", "family": "Erase", "model": "lama"}
    assert records == [
        ("requests", 1, {**place, "status": "200"}),
        ("request_seconds", 0.25, place),
        ("stage_seconds", 0.04, {"family": "Erase", "stage": "decode"}),
        ("stage_seconds", 0.15, {"family": "Erase", "stage": "forward"}),
        ("received_bytes", 700, {"route": "/inpaint"}),
        ("sent_bytes", 500, {"route": "/inpaint"}),
    ]


def test_a_refused_request_is_recorded_with_its_code(records):
    settled(route="/inpaint", status=503, error=OverloadedError.code, retries=1)
    place = {"route": "/inpaint", "family": "none"}
    assert records[0] == ("requests", 1, {**place, "model": "none", "status": "503"})
    assert records[-2:] == [
        ("errors", 1, {**place, "code": "overloaded"}),
        ("retries", 1, {"family": "none"}),
    ]


def test_no_record_has_the_requests_id(records):
    settled(route="/inpaint", status=200)
    assert "an-id" not in str(records)


def test_a_wait_for_a_cold_family_is_recorded_with_its_outcome(records):
    EdgeMetrics().waited("SDXL", 4.5, "refused")
    assert records == [("cold_wait_seconds", 4.5, {"family": "SDXL", "outcome": "refused"})]


def test_what_a_replica_tells_is_recorded_with_its_family(records):
    metrics = ReplicaMetrics("SD15")
    of_model = {"family": "SD15", "model": "sd"}
    metrics.loaded("sd", 2.5, 1000)
    metrics.ran("sd", [0.1, 0.2], 3.5)
    metrics.waiting(4)
    metrics.failed("sd", "forward", "out-of-memory")
    metrics.cancelled("sd")
    metrics.evicted(["sd"])
    assert records == [
        ("model_load_seconds", 2.5, of_model),
        ("model_held_bytes", 1000, of_model),
        ("queue_seconds", 0.1, of_model),
        ("queue_seconds", 0.2, of_model),
        ("forward_seconds", 3.5, of_model),
        ("batch_items", 2, of_model),
        ("batch_queue_length", 4, {"family": "SD15"}),
        ("model_failures", 1, {**of_model, "work": "forward", "code": "out-of-memory"}),
        ("cancelled_runs", 1, of_model),
        ("model_evictions", 1, of_model),
        ("model_held_bytes", 0, of_model),
    ]


def test_downloads_are_recorded_by_model_and_outcome(records):
    metrics = DownloadMetrics()
    metrics.arrived("lama", 4096)
    metrics.ended("lama", "download-failed")
    assert records == [
        ("downloaded_bytes", 4096, {"model": "lama"}),
        ("downloads", 1, {"model": "lama", "outcome": "download-failed"}),
    ]


def test_a_gauge_repeats_its_last_values(records):
    gauge = LastingGauge("inpaint_depth", "Of a queue.", ("of",))
    gauge.set(3, {"of": "a"})
    gauge.set(1, {"of": "b"})
    gauge.set(0, {"of": "a"})
    records.clear()
    gauge.repeat()
    assert records == [("depth", 0, {"of": "a"}), ("depth", 1, {"of": "b"})]


def test_histograms_of_seconds_reach_from_a_millisecond_to_the_longest_request():
    assert SECONDS[0] == 0.001
    assert SECONDS[-1] >= IngressConfig().max_timeout_s
    assert all(1 < high / low <= 2.5 for low, high in pairwise(SECONDS))
