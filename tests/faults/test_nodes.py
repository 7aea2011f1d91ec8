"""Worker nodes that vanish with everything on them."""

import pytest

from tests.faults import parts
from tests.faults.conftest import behind_edge, crowd_at, entry_of, worker
from tests.faults.records import unanswered

pytestmark = pytest.mark.chaos

LOAD_S = 15
FAULT_AT_S = 2


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    with crowd_at(tmp_path_factory.mktemp("scratch")) as crowd:
        yield crowd


@pytest.fixture(autouse=True)
def whole(crowd):
    crowd.recover()


def remove(crowd, node):
    """Kill all that runs on a node, and forget it; gives the index of its port."""
    at = crowd.workers.index(node)
    crowd.running.cluster.remove_node(node, allow_graceful=False)
    del crowd.workers[at]
    return at


def replace(crowd, at):
    """A new node in the place of a removed one, whose proxy has the same port."""
    crowd.running.add_worker(**worker(crowd.ports[at]))
    crowd.workers.insert(at, crowd.workers.pop())


async def test_a_node_with_ingress_and_proxy_behind_the_edge_costs_no_request(
    crowd, table, tmp_path
):
    victim = crowd.workers[0]
    with behind_edge(crowd, tmp_path) as url:
        outcomes = await crowd.during(LOAD_S, (FAULT_AT_S, lambda: remove(crowd, victim)), url=url)
    summary = table.add("a worker node gone, with an ingress and a proxy, behind nginx", outcomes)
    assert summary.lost == 0, unanswered(outcomes)
    replace(crowd, 0)
    crowd.recover()


async def test_a_node_with_model_replicas_costs_no_request(crowd, table):
    entry_of(crowd.running.document, "Ingress")["num_replicas"] = 1
    crowd.running.deploy()
    crowd.recover()
    [ingress] = parts.replicas("Ingress").values()
    [victim] = [node for node in crowd.workers if node.node_id != ingress["node_id"]]
    at = []
    outcomes = await crowd.during(LOAD_S, (FAULT_AT_S, lambda: at.append(remove(crowd, victim))))
    summary = table.add("a worker node gone, with a replica of each family", outcomes)
    assert summary.lost == 0, unanswered(outcomes)
    replace(crowd, at[0])
    crowd.recover()
