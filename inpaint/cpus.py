"""How many CPUs this process may use, which in a container is not how many the machine has."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def usable_cpus(root: Path = ROOT) -> int:
    """As many as the process may run on, and no more than its control groups let it use.

    `docker run --cpus` and `limits.cpu` of a pod are quotas: `os.cpu_count()` and the affinity are
    then the whole node's, and as many threads would be stopped for most of each period. Part of a
    CPU counts as one, as in Go's GOMAXPROCS and in Java.

    Args:
        root: where `proc` and the mounts are looked for.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cpus, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """CPUs that each group above this process allows, where one does; see cgroups(7).

    A limit of an outer group holds inside too, so all groups up to the mount are looked at.
    """
    groups = _groups(root)
    for line in _lines(root / "proc/self/mountinfo"):
        mount, _, source = (part.split() for part in line.partition(" - "))
        kind, controllers = source[0], source[-1].split(",")
        if kind == "cgroup2" and "" in groups:
            read, group = _quota_v2, groups[""]
        elif kind == "cgroup" and "cpu" in controllers and "cpu" in groups:
            read, group = _quota_v1, groups["cpu"]
        else:
            continue
        top = root / mount[4].lstrip("/")
        for folder in _folders(top, PurePosixPath(mount[3]), group):
            quota = read(folder)
            if quota is not None:
                yield quota


def _groups(root: Path) -> dict[str, PurePosixPath]:
    """This process's group by controller; that of version 2 stands under ""."""
    found = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        found.update(dict.fromkeys(controllers.split(","), PurePosixPath(path)))
    return found


def _folders(top: Path, mounted: PurePosixPath, group: PurePosixPath) -> Iterator[Path]:
    """The group's folder and those above it, as far as they are mounted; the mount's own is last.

    Args:
        top: where groups are mounted.
        mounted: the group that is seen there.
        group: the process's. Outside of what is mounted only the mount itself is left.
    """
    is_inside = group.is_relative_to(mounted) and ".." not in group.parts
    inside = group.relative_to(mounted) if is_inside else PurePosixPath()
    yield top / inside
    yield from (top / outer for outer in inside.parents)


def _quota_v2(folder: Path) -> float | None:
    limit = next(_lines(folder / "cpu.max"), "max").split()
    return None if limit[0] == "max" else int(limit[0]) / int(limit[1])


def _quota_v1(folder: Path) -> float | None:
    quota = int(next(_lines(folder / "cpu.cfs_quota_us"), "-1"))
    period = int(next(_lines(folder / "cpu.cfs_period_us"), "0"))
    return quota / period if quota > 0 and period > 0 else None


def _lines(path: Path) -> Iterator[str]:
    """Of a file; none where it is missing, as on other systems than Linux."""
    try:
        yield from path.read_text().splitlines()
    except OSError:
        return
