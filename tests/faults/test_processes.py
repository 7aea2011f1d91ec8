"""One process after the other is killed under load, in one cluster."""

import pytest

from benchmarks.load import BROKEN
from tests.faults import parts
from tests.faults.conftest import CLIENTS, behind_edge, crowd_at
from tests.faults.records import unanswered

LOAD_S = 4
FAULT_AT_S = 1.5


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    with crowd_at(tmp_path_factory.mktemp("scratch")) as crowd:
        yield crowd


@pytest.fixture(autouse=True)
def whole(crowd):
    """Each fault meets a service that has got over the one before."""
    crowd.recover()


@pytest.fixture
def edge_url(crowd, tmp_path):
    with behind_edge(crowd, tmp_path) as url:
        yield url


async def test_without_a_fault(crowd, table):
    outcomes = await crowd.during(3)
    assert table.add("none", outcomes).lost == 0, unanswered(outcomes)


@pytest.mark.parametrize("deployment", ["Erase", "OCR", "Registry"])
async def test_a_killed_replica_of_a_family_costs_no_request(crowd, table, deployment):
    victim = next(iter(parts.replicas(deployment).values()))
    outcomes = await crowd.during(LOAD_S, (FAULT_AT_S, lambda: parts.kill(victim["pid"])))
    assert not parts.is_there(victim["pid"])
    summary = table.add(f"kill -9 of a replica of {deployment}", outcomes)
    assert summary.lost == 0, unanswered(outcomes)


async def test_a_killed_controller_costs_no_request(crowd, table):
    [controller] = parts.processes("ray::ServeController")
    outcomes = await crowd.during(LOAD_S, (FAULT_AT_S, lambda: parts.kill(controller.pid)))
    assert not parts.is_there(controller.pid)
    summary = table.add("kill -9 of the Serve controller", outcomes)
    assert summary.lost == 0, unanswered(outcomes)


async def test_a_killed_ingress_costs_what_it_had_and_says_so(crowd, table):
    victim = next(iter(parts.replicas("Ingress").values()))
    outcomes = await crowd.during(LOAD_S, (FAULT_AT_S, lambda: parts.kill(victim["pid"])))
    summary = table.add("kill -9 of an ingress replica, no edge before it", outcomes)
    assert summary.lost <= 6, unanswered(outcomes)
    assert set(summary.statuses) <= {200, 502}, unanswered(outcomes)
    assert all("/problems/ingress-lost" in one.detail for one in outcomes if not one.is_good)


async def test_a_killed_ingress_behind_the_edge_costs_no_request(crowd, table, edge_url):
    victim = next(iter(parts.replicas("Ingress").values()))
    outcomes = await crowd.during(
        LOAD_S, (FAULT_AT_S, lambda: parts.kill(victim["pid"])), url=edge_url
    )
    summary = table.add("kill -9 of an ingress replica, behind nginx", outcomes)
    assert summary.lost == 0, unanswered(outcomes)


async def test_a_killed_proxy_costs_what_it_had(crowd, table):
    [proxy] = parts.processes("ray::ProxyActor", crowd.running.cluster.head_node)
    outcomes = await crowd.during(LOAD_S, (FAULT_AT_S, lambda: parts.kill(proxy.pid)))
    table.add("kill -9 of the only proxy, no edge before it", outcomes)
    cut = [one for one in outcomes if not one.is_good and one.sent_s < FAULT_AT_S]
    refused = [one for one in outcomes if not one.is_good and one.sent_s >= FAULT_AT_S]
    assert len(cut) <= sum(CLIENTS.values())
    assert {one.status for one in [*cut, *refused]} <= {BROKEN}, unanswered(outcomes)
    assert all(one.took_s < 1 for one in refused)  # nobody waits for a server that is not there


async def test_a_killed_proxy_behind_the_edge_costs_no_request(crowd, table, edge_url):
    [proxy] = parts.processes("ray::ProxyActor", crowd.workers[0])
    outcomes = await crowd.during(LOAD_S, (FAULT_AT_S, lambda: parts.kill(proxy.pid)), url=edge_url)
    summary = table.add("kill -9 of a proxy, behind nginx", outcomes)
    assert summary.lost == 0, unanswered(outcomes)
