"""Control groups as container runtimes lay them out, in a folder; see cgroups(7)."""

import os

import pytest

from inpaint.cpus import usable_cpus

V2 = "31 23 0:28 {mounted} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "33 31 0:29 {mounted} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
MEMORY_V1 = "34 31 0:30 {mounted} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"


@pytest.fixture(autouse=True)
def _a_node_of_64(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def machine(root, mounts, groups, limits):
    """A root with mounts and this process's groups; `limits`: files below /sys/fs/cgroup."""
    write(root / "proc/self/mountinfo", "".join(f"{line}\n" for line in mounts))
    write(root / "proc/self/cgroup", "".join(f"{line}\n" for line in groups))
    for name, text in limits.items():
        write(root / "sys/fs/cgroup" / name, text)
    return root


@pytest.mark.parametrize(
    ("limit", "cpus"),
    [
        ("400000 100000", 4),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("30000 10000", 3),
        ("max 100000", 64),
        ("12800000 100000", 64),
    ],
)
def test_a_pods_limit_bounds_the_cpus(tmp_path, limit, cpus):
    root = machine(tmp_path, [V2.format(mounted="/")], ["0::/"], {"cpu.max": f"{limit}\n"})
    assert usable_cpus(root) == cpus


def test_the_tightest_of_the_groups_above_counts(tmp_path):
    limits = {
        "kubepods/pod1/cpu.max": "200000 100000\n",
        "kubepods/pod1/ray/cpu.max": "max 100000\n",
        "kubepods/cpu.max": "800000 100000\n",
        "kubepods/pod2/cpu.max": "100000 100000\n",
    }
    root = machine(tmp_path, [V2.format(mounted="/")], ["0::/kubepods/pod1/ray"], limits)
    assert usable_cpus(root) == 2


@pytest.mark.parametrize("group", ["/docker/abc", "/", "/../other", "/system.slice"])
def test_a_container_sees_its_own_group_at_the_mount(tmp_path, group):
    limits = {"cpu.max": "300000 100000\n"}
    root = machine(tmp_path, [V2.format(mounted="/docker/abc")], [f"0::{group}"], limits)
    assert usable_cpus(root) == 3


@pytest.mark.parametrize(("quota", "cpus"), [("250000", 3), ("-1", 64)])
def test_version_1_has_a_quota_and_a_period(tmp_path, quota, cpus):
    folder = "cpu,cpuacct/docker/abc"
    limits = {
        f"{folder}/cpu.cfs_quota_us": f"{quota}\n",
        f"{folder}/cpu.cfs_period_us": "100000\n",
        "memory/docker/abc/cpu.cfs_quota_us": "100000\n",
        "memory/docker/abc/cpu.cfs_period_us": "100000\n",
    }
    mounts = [V1.format(mounted="/"), MEMORY_V1.format(mounted="/")]
    groups = ["4:memory:/docker/abc", "3:cpu,cpuacct:/docker/abc", "0::/"]
    assert usable_cpus(machine(tmp_path, mounts, groups, limits)) == cpus


def test_affinity_bounds_them_too(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5, 6})
    limits = {"cpu.max": "800000 100000\n"}
    assert usable_cpus(machine(tmp_path, [V2.format(mounted="/")], ["0::/"], limits)) == 3


def test_a_machine_without_control_groups_counts_what_it_may_run_on(tmp_path):
    assert usable_cpus(tmp_path) == 64
