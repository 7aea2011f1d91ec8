"""Every queue of the shipped configs has a bound, and refusals say when to come back."""

import pytest
import yaml

from tests.cli.test_configs import SERVE_CONFIGS

HANDLE_ONLY = "Registry"
"""Asked by ingress replicas alone, which go on without an answer."""


@pytest.fixture(params=SERVE_CONFIGS, ids=lambda path: path.name)
def entries(request):
    application, _ = yaml.safe_load(request.param.read_text())["applications"]
    return {entry["name"]: entry for entry in application["deployments"]}


def test_every_deployment_bounds_its_queue(entries):
    for name, entry in entries.items():
        assert 0 < entry["max_queued_requests"] <= 256, name
        assert 0 < entry["max_ongoing_requests"] <= 384, name


def test_every_refusal_is_503_and_says_when_to_come_back(entries):
    for name, entry in entries.items():
        if name != HANDLE_ONLY:
            refusal = entry["backpressure_config"]
            assert refusal["status_code"] == 503, name
            assert 1 <= refusal["retry_after_s"] <= 60, name


def test_full_families_leave_room_in_the_ingress(entries):
    """Else one overloaded family takes every place, and requests for the others wait behind it."""
    families = [name for name in entries if name not in (HANDLE_ONLY, "Ingress")]
    most = {
        name: entries[name]["max_queued_requests"]
        + entries[name]["max_ongoing_requests"]
        * entries[name]["autoscaling_config"]["max_replicas"]
        for name in families
    }
    assert sum(most.values()) < entries["Ingress"]["max_ongoing_requests"], most
