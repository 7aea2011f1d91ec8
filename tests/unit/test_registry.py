"""The registry: what all replicas hold together."""

from deployments import registry
from deployments.registry import Registry
from inpaint.reports import ReplicaReport


def report(replica, *loaded, family="Erase"):
    return ReplicaReport(replica, family, loaded, 0)


async def holding(*reports):
    known = Registry()
    for one in reports:
        await known.report(one)
    return (await known.state()).replicas_holding


async def test_no_reports_hold_nothing():
    assert await holding() == {}


async def test_replicas_are_counted_by_model():
    reports = [report("1", "lama", "cv2"), report("2", "lama"), report("3")]
    assert await holding(*reports) == {"lama": 2, "cv2": 1}


async def test_later_report_of_a_replica_replaces_its_earlier_one():
    assert await holding(report("1", "lama"), report("1", "cv2")) == {"cv2": 1}


async def test_silent_replica_is_forgotten(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(registry.time, "monotonic", lambda: clock[0])
    known = Registry()
    await known.report(report("1", "lama"))
    clock[0] += registry.REPORT_LIFETIME_S - 1
    await known.report(report("2", "lama"))
    assert (await known.state()).replicas_holding == {"lama": 2}
    clock[0] += 2
    assert (await known.state()).replicas_holding == {"lama": 1}
    clock[0] += registry.REPORT_LIFETIME_S
    assert (await known.state()).replicas_holding == {}


async def test_states_do_not_share_memory():
    known = Registry()
    await known.report(report("1", "lama"))
    (await known.state()).replicas_holding.clear()
    assert (await known.state()).replicas_holding == {"lama": 1}
