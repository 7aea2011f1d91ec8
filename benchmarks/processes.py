"""What the processes of a server hold: memory, threads, open files."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

SERVING = ("replica", "proxy")
"""Kinds of `Held.kind` in which requests are worked on; the rest is Ray's own."""
_REPLICA = re.compile(r"^ray::ServeReplica:[^:]+:(\w+)")
_PROXY = re.compile(r"^ray::ProxyActor")


@dataclass(frozen=True, slots=True)
class Held:
    """One process at one moment."""

    pid: int
    name: str
    """The deployment's, "proxy", or the program's."""
    kind: str
    """One of SERVING, or "ray"."""
    pss_mib: float
    """Proportional set size without shared memory: pages of files that several processes map count
    in parts, the object store's not at all."""
    threads: int
    files: int
    """Open file descriptors."""


def held_by(pid: int) -> list[Held]:
    """What a process and its descendants hold; those that end meanwhile are left out."""
    found = []
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        try:
            name, kind = _named(process)
            pss = _pss_mib(process.pid)
            files, threads = process.num_fds(), process.num_threads()
        except (psutil.Error, OSError):
            continue
        found.append(Held(process.pid, name, kind, pss, threads, files))
    return found


def memory_mib(held: Iterable[Held], kinds: Iterable[str] = SERVING) -> float:
    """The sum of the proportional set sizes of these kinds of processes."""
    return sum(one.pss_mib for one in held if one.kind in kinds)


def by_name(held: Iterable[Held], kinds: Iterable[str] = SERVING) -> dict[str, list[Held]]:
    """The processes of these kinds, by name."""
    grouped = defaultdict(list)
    for one in held:
        if one.kind in kinds:
            grouped[one.name].append(one)
    return dict(sorted(grouped.items()))


def _pss_mib(pid: int) -> float:
    """See proc_pid_smaps(5): all pages in one sum, by what backs them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}
    return (kib["Pss"] - kib["Pss_Shmem"]) / 1024


def _named(process: psutil.Process) -> tuple[str, str]:
    title = (process.cmdline() or [process.name()])[0]
    if found := _REPLICA.match(title):
        return found[1], "replica"
    if _PROXY.match(title):
        return "proxy", "proxy"
    return title.split()[0].rsplit("/", 1)[-1] if title else process.name(), "ray"
