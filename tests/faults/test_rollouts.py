"""What an operator does on purpose, under load: other settings, other code, fewer replicas."""

import pytest

from tests.faults import parts
from tests.faults.conftest import crowd_at, entry_of
from tests.faults.records import unanswered
from tests.serve.conftest import wait_for

pytestmark = pytest.mark.chaos

DEPLOYMENTS = ("Ingress", "Registry", "Erase", "OCR")
LIMIT_S = 240


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    with crowd_at(tmp_path_factory.mktemp("scratch")) as crowd:
        yield crowd


@pytest.fixture(autouse=True)
def whole(crowd):
    crowd.recover()


def known():
    """Ids of the replicas of everything."""
    return {name: set(parts.replicas(name)) for name in DEPLOYMENTS}


async def test_other_settings_reach_replicas_and_cost_no_request(crowd, table):
    before = known()
    entry_of(crowd.running.document, "Erase")["user_config"] = {"max_batch_pixels": 2**18}
    outcomes = await crowd.during(8, (1.5, crowd.running.deploy))
    summary = table.add("a change of `user_config`", outcomes)
    assert summary.lost == 0, unanswered(outcomes)
    crowd.recover()
    assert known() == before


async def test_a_rolling_update_of_everything_costs_no_request(crowd, table):
    before = known()
    crowd.running.document["applications"][0]["args"]["default_models"] = ["cv2", "steady"]

    def is_new():
        now = known()
        return parts.is_healthy() and all(now[name].isdisjoint(before[name]) for name in before)

    def update():
        crowd.running.deploy()
        wait_for(is_new, LIMIT_S)

    outcomes = await crowd.until(update)
    summary = table.add("a rolling update of every replica (a change of `args`)", outcomes)
    assert summary.lost == 0, unanswered(outcomes)


async def test_scaling_down_costs_no_request(crowd, table):
    for name in ("Ingress", "Erase", "OCR"):
        entry_of(crowd.running.document, name)["num_replicas"] = 1

    def shrink():
        crowd.running.deploy()
        wait_for(lambda: [len(parts.replicas(name)) for name in DEPLOYMENTS] == [1, 1, 1, 1])
        wait_for(lambda: not parts.leaving(), LIMIT_S)

    outcomes = await crowd.until(shrink)
    summary = table.add("scale-down of every deployment from 2 to 1", outcomes)
    assert summary.lost == 0, unanswered(outcomes)


async def test_the_only_replica_of_a_family_is_killed_and_costs_no_request(crowd, table):
    [victim] = parts.replicas("Erase").values()
    outcomes = await crowd.during(10, (1.5, lambda: parts.kill(victim["pid"])))
    summary = table.add("kill -9 of the only replica of Erase", outcomes)
    assert summary.lost == 0, unanswered(outcomes)
