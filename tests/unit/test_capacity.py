"""Which families a cluster can run, and what a request for one that does not run gets."""

import asyncio

import pytest

from inpaint.errors import NoGpuError, UnavailableError, WarmingUpError
from serve_app import capacity as capacity_module
from serve_app.capacity import Capacity, ClusterState, FamilyState, missing

CPU_NODE = {"CPU": 4.0, "memory": 8e9}
GPU_NODE = {"CPU": 4.0, "GPU": 1.0}
SHARE = {"CPU": 0.5, "GPU": 0.4}


class Cluster:
    """One family on nodes that a test adds, and replicas that come when a test says so."""

    def __init__(self, *nodes, running=0, can_grow=False, needs=SHARE):
        self.nodes, self.running, self.can_grow, self.needs = nodes, running, can_grow, needs
        self.warmed = asyncio.Event()
        self.looks = self.warmings = self.stopped = 0
        self.fails = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.has_failed = False

    async def look(self):
        self.looks += 1
        await self.answers.wait()
        if self.fails:
            raise ConnectionError
        family = FamilyState(
            "HEALTHY", self.running, self.needs, wanted=self.running, has_failed=self.has_failed
        )
        families = {"SD15": family}
        return ClusterState(families, self.nodes, self.can_grow)

    async def warm(self, family):
        self.warmings += 1
        try:
            await self.warmed.wait()
        finally:
            self.stopped += 1


def capacity(cluster, lifetime_s=100.0):
    return Capacity(cluster.look, cluster.warm, lifetime_s)


@pytest.mark.parametrize(
    ("needs", "nodes", "lacking"),
    [
        (SHARE, [CPU_NODE], ("GPU",)),
        (SHARE, [CPU_NODE, GPU_NODE], ()),
        (SHARE, [], ("CPU", "GPU")),
        ({"CPU": 8.0}, [CPU_NODE, GPU_NODE], ("CPU",)),
        ({"CPU": 1.0, "GPU": 1.0, "memory": 1e9}, [CPU_NODE, GPU_NODE], ("GPU",)),
        ({"GPU": 2.0}, [GPU_NODE, GPU_NODE], ("GPU",)),  # a replica lives on one node
        ({"CPU": 0.0, "GPU": 0.0}, [CPU_NODE], ()),
        ({"fpga": 1.0}, [GPU_NODE], ("fpga",)),
    ],
)
def test_what_no_node_has_enough_of(needs, nodes, lacking):
    assert missing(needs, nodes) == lacking


async def test_a_family_that_no_node_can_run_is_refused_at_once_with_a_remedy():
    cluster = Cluster(CPU_NODE)
    with pytest.raises(NoGpuError) as caught:
        await capacity(cluster).require("SD15", 60)
    assert "0.4 GPU" in caught.value.detail
    assert "for the CPU" in caught.value.detail
    assert caught.value.retry_after_s is None
    assert cluster.warmings == 0


async def test_what_else_is_lacking_is_named_too():
    with pytest.raises(NoGpuError, match="needs 8 CPU"):
        await capacity(Cluster(CPU_NODE, needs={"CPU": 8.0})).require("SD15", 60)


@pytest.mark.parametrize(
    "cluster_of",
    [
        lambda: Cluster(GPU_NODE),
        lambda: Cluster(CPU_NODE, running=1),  # its node has died, its replica not yet
        lambda: Cluster(CPU_NODE, needs={"CPU": 0.5}),
        lambda: Cluster(CPU_NODE, running=1, can_grow=True),
    ],
)
async def test_a_family_that_runs_or_can_start_here_takes_requests_at_once(cluster_of):
    cluster = cluster_of()
    await capacity(cluster).require("SD15", 0)
    assert cluster.warmings == 0


async def test_a_family_that_nobody_knows_is_left_to_serve():
    await capacity(Cluster(CPU_NODE)).require("Stranger", 0)


async def test_a_cold_family_keeps_its_demand_when_requests_give_up():
    cluster = Cluster(CPU_NODE, can_grow=True)
    known = capacity(cluster)
    for _ in range(3):
        with pytest.raises(WarmingUpError) as caught:
            await known.require("SD15", 0.01)
    assert caught.value.retry_after_s
    assert (cluster.warmings, cluster.stopped) == (1, 0)
    cluster.warmed.set()
    await known.require("SD15", 1)
    assert (cluster.warmings, cluster.stopped) == (1, 1)


async def test_a_request_goes_on_as_soon_as_a_replica_runs():
    cluster = Cluster(CPU_NODE, can_grow=True)
    waiting = asyncio.create_task(capacity(cluster).require("SD15", 60))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    cluster.warmed.set()
    await asyncio.wait_for(waiting, 1)


async def test_a_request_that_is_cancelled_leaves_the_demand():
    cluster = Cluster(CPU_NODE, can_grow=True)
    waiting = asyncio.create_task(capacity(cluster).require("SD15", 60))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert (cluster.warmings, cluster.stopped) == (1, 0)


async def test_a_node_that_joins_is_seen():
    cluster = Cluster(CPU_NODE)
    known = capacity(cluster, lifetime_s=0.0)
    with pytest.raises(NoGpuError):
        await known.require("SD15", 0)
    assert (await known.sight(["SD15"])).conditions == {"SD15": "no-gpu"}
    cluster.nodes = (CPU_NODE, GPU_NODE)
    await known.require("SD15", 0)
    assert (await known.sight(["SD15"])).conditions == {"SD15": "resting"}
    assert await known.refusals() == {}


async def test_one_look_serves_many_requests():
    cluster = Cluster(GPU_NODE)
    known = capacity(cluster)
    await asyncio.gather(*(known.require("SD15", 0) for _ in range(20)))
    assert cluster.looks == 1


async def test_a_cluster_that_does_not_answer_refuses_nobody():
    cluster = Cluster(CPU_NODE)
    cluster.fails = True
    known = capacity(cluster)
    await known.require("SD15", 0)
    assert await known.refusals() == {}


async def test_refusals_say_why():
    refusals = await capacity(Cluster(CPU_NODE)).refusals()
    assert list(refusals) == ["SD15"]
    assert "0.4 GPU" in refusals["SD15"]


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(capacity_module, "PATIENCE_S", 0.05)


async def test_a_family_that_fails_to_start_is_refused_until_it_is_deployed_anew():
    cluster = Cluster(GPU_NODE)
    cluster.has_failed = True
    known = capacity(cluster, lifetime_s=0.0)
    with pytest.raises(UnavailableError, match="'SD15' fails to start"):
        await known.require("SD15", 60)
    sight = await known.sight(["SD15"])
    assert (sight.conditions, sight.is_ready) == ({"SD15": "failed"}, False)
    cluster.has_failed = False
    await known.require("SD15", 60)


async def test_readiness_before_the_first_look_is_unknown_and_not_ready(impatient):
    cluster = Cluster(GPU_NODE, running=1)
    cluster.answers.clear()
    sight = await asyncio.wait_for(capacity(cluster).sight(["SD15", "OCR"]), 1)
    assert (sight.conditions, sight.is_ready, sight.age_s) == (
        {"SD15": "unknown", "OCR": "unknown"},
        False,
        None,
    )


async def test_readiness_outlives_a_controller_that_does_not_answer(impatient, monkeypatch):
    cluster = Cluster(GPU_NODE, running=1)
    known = capacity(cluster, lifetime_s=0.0)
    assert (await known.sight(["SD15"])).conditions == {"SD15": "running"}
    cluster.answers.clear()
    sight = await asyncio.wait_for(known.sight(["SD15"]), 1)
    assert (sight.conditions, sight.is_ready) == ({"SD15": "running"}, True)
    assert sight.age_s >= 0.05

    monkeypatch.setattr(capacity_module, "GRACE_S", 0.01)
    sight = await known.sight(["SD15"])
    assert (sight.conditions, sight.is_ready) == ({"SD15": "unknown"}, True)

    cluster.running = 0
    cluster.answers.set()
    await asyncio.sleep(0)
    assert (await known.sight(["SD15"])).conditions == {"SD15": "resting"}


async def test_only_the_first_probe_waits_for_a_look_that_hangs(impatient):
    cluster = Cluster(GPU_NODE, running=1)
    known = capacity(cluster, lifetime_s=0.0)
    await known.sight(["SD15"])
    cluster.answers.clear()
    await known.sight(["SD15"])
    looks, clock = cluster.looks, asyncio.get_running_loop().time
    began = clock()
    for _ in range(50):
        await known.sight(["SD15"])
    assert clock() - began < 0.5  # fifty waits would take 2.5 s
    assert cluster.looks == looks  # one look is under way, not one for each probe


async def test_a_family_that_serve_lacks_is_missing_and_the_others_are_told_of():
    sight = await capacity(Cluster(GPU_NODE, running=1)).sight(["SD15", "OCR"])
    assert (sight.conditions, sight.is_ready) == ({"SD15": "running", "OCR": "missing"}, False)


async def test_waits_for_a_cold_family_are_told_with_their_outcome():
    told = []
    cluster = Cluster(CPU_NODE, can_grow=True)
    watched = Capacity(cluster.look, cluster.warm, 100.0, on_cold=lambda *what: told.append(what))
    with pytest.raises(WarmingUpError):
        await watched.require("SD15", 0.05)
    cluster.warmed.set()
    await watched.require("SD15", 5)
    (family, refused_s, refused), (_, ready_s, ready) = told
    assert (family, refused, ready) == ("SD15", "refused", "ready")
    assert 0.04 < refused_s < 1 > ready_s
