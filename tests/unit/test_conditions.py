"""What is said of a family, from what a live Serve 2.60 was seen to report in each state."""

import pytest

from serve_app.conditions import READY, Condition, condition_of


@pytest.mark.parametrize(
    ("status", "running", "wanted", "has_failed", "lacks_node", "condition", "is_ready"),
    [
        ("HEALTHY", 1, 1, False, False, "running", True),
        ("DOWNSCALING", 2, 1, False, False, "running", True),
        ("UPSCALING", 1, 2, False, False, "running", True),
        ("HEALTHY", 0, 0, False, False, "resting", True),
        ("UPDATING", 0, 0, False, False, "resting", True),  # the first moments of a deployment
        ("UPSCALING", 0, 1, False, False, "waking", True),
        ("UPDATING", 0, 1, False, False, "starting", False),
        ("HEALTHY", 0, 1, False, False, "starting", False),
        ("UPDATING", 1, 2, False, False, "updating", True),  # the old version answers
        ("UNHEALTHY", 1, 2, False, False, "degraded", True),  # one of two failed its check
        ("DEPLOY_FAILED", 1, 2, True, False, "degraded", True),
        ("UNHEALTHY", 0, 1, False, False, "unhealthy", False),
        ("UNHEALTHY", 0, 1, True, False, "failed", False),  # a family that rested, and broke
        ("DEPLOY_FAILED", 0, 1, True, False, "failed", False),
        ("UPDATING", 0, 1, False, True, "no-gpu", True),
        ("HEALTHY", 0, 0, False, True, "no-gpu", True),
        ("HEALTHY", 1, 1, False, True, "running", True),  # its node has just left
    ],
)
def test_the_condition_is_what_a_request_would_meet(
    status, running, wanted, has_failed, lacks_node, condition, is_ready
):
    found = condition_of(status, running, wanted, has_failed, lacks_node)
    assert (found, found in READY) == (condition, is_ready)


def test_what_is_not_known_is_not_ready():
    assert not READY & {Condition.MISSING, Condition.UNKNOWN}
