"""The registry: what all replicas hold together."""

from deployments import registry
from deployments.registry import Registry
from inpaint.reports import Download, ReplicaReport


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


async def downloads(*reports):
    known = Registry()
    for one in reports:
        await known.report(one)
    return (await known.state()).downloads


async def test_of_two_downloads_of_a_model_the_furthest_is_told():
    waiting, working = Download("lama", 0, None), Download("lama", 50, 200)
    other = Download("mat", 0, None)
    reports = [
        ReplicaReport(name, "Ingress", (), 0, (download, *more))
        for name, download, *more in [("1", waiting), ("2", working, other), ("3", waiting)]
    ]
    assert await downloads(*reports) == {"lama": working, "mat": other}


async def test_download_that_has_ended_is_forgotten():
    began = ReplicaReport("1", "Ingress", (), 0, (Download("lama", 0, None),))
    assert await downloads(began, ReplicaReport("1", "Ingress", (), 0)) == {}


def test_fraction_of_a_download_is_known_where_its_size_is():
    assert Download("lama", 50, 200).fraction == 0.25
    assert Download("lama", 50, None).fraction is None
    assert Download("lama", 0, 0).fraction is None
