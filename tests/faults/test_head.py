"""Ray's head without its GCS, and no head at all, with the GCS's state in a real Redis."""

import time

import pytest

from tests.faults import parts
from tests.faults.conftest import behind_edge, crowd_at
from tests.faults.records import unanswered
from tests.faults.redis import SERVER, redis
from tests.serve.conftest import free_port

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(SERVER is None, reason="redis-server is not installed"),
]

AWAY_S = 10


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    scratch = tmp_path_factory.mktemp("scratch")
    with redis(scratch) as port:
        environment = {
            "RAY_REDIS_ADDRESS": f"127.0.0.1:{port}",
            "RAY_external_storage_namespace": "faults",
            "RAY_gcs_rpc_server_reconnect_timeout_s": "600",  # as KubeRay sets it
            "RAY_SERVE_KV_TIMEOUT_S": "5",
        }
        head = {"gcs_server_port": free_port()}
        with crowd_at(scratch, environment, head=head) as crowd:
            yield crowd


@pytest.fixture(autouse=True)
def whole(crowd):
    crowd.recover()


async def test_a_killed_gcs_costs_no_request(crowd, table):
    head = crowd.running.cluster.head_node

    def act():
        head.kill_gcs_server()
        time.sleep(AWAY_S)
        head.start_gcs_server()
        time.sleep(5)

    outcomes = await crowd.until(act)
    summary = table.add(f"kill -9 of the GCS (state in Redis), back after {AWAY_S} s", outcomes)
    assert summary.lost == 0, unanswered(outcomes)
    crowd.recover()


async def test_a_replica_killed_while_the_gcs_is_away_costs_no_request(crowd, table):
    head = crowd.running.cluster.head_node
    victim = next(iter(parts.replicas("Erase").values()))

    def act():
        head.kill_gcs_server()
        time.sleep(2)
        parts.kill(victim["pid"])
        time.sleep(AWAY_S)
        head.start_gcs_server()
        time.sleep(5)

    outcomes = await crowd.until(act)
    summary = table.add(
        f"kill -9 of a replica of Erase while the GCS is away for {AWAY_S} s", outcomes
    )
    assert summary.lost == 0, unanswered(outcomes)
    crowd.recover()


async def test_a_head_that_dies_behind_the_edge_costs_no_request(crowd, table, tmp_path):
    def act():
        crowd.running.lose_head()
        time.sleep(AWAY_S)

    with behind_edge(crowd, tmp_path) as url:
        outcomes = await crowd.until(act, url=url)
        summary = table.add(
            f"the head gone for {AWAY_S} s (GCS, raylet, controller, proxy), behind nginx", outcomes
        )
        assert summary.lost == 0, unanswered(outcomes)
        crowd.running.restore_head()
        crowd.recover(180)
        outcomes = await crowd.during(3, url=url)
    assert table.add("after that, with another head", outcomes).lost == 0, unanswered(outcomes)
