"""The processes of one session: all that a program started with a session of its own has started.

Ray gives its workers process groups of their own, but they stay in the session.
"""

import os
import signal
import time
from pathlib import Path

PROC = Path("/proc")


def members(session: int) -> list[int]:
    """The living processes of a session; none where there is no /proc to look into."""
    if not PROC.is_dir():
        return []
    pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if _session_of(pid) == session]


def end(session: int, grace_s: float) -> None:
    """Ask every process of a session to end, and kill those that are there after `grace_s`."""
    _send(session, signal.SIGTERM)
    give_up = time.monotonic() + grace_s
    while members(session) and time.monotonic() < give_up:
        time.sleep(0.05)
    while members(session):  # what is killed may just have started another
        _send(session, signal.SIGKILL)
        time.sleep(0.05)


def _session_of(pid: int) -> int | None:
    """The session of a process that lives; see proc(5)."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, session = fields[0], int(fields[3])
    return None if state in "ZX" else session


def _send(session: int, signum: int) -> None:
    for pid in members(session):
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue
