"""One writer at a time for a file, across threads, processes and, where flock reaches, nodes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

POLL_S = 0.5
"""How often whoever waits for a lock is told so."""


@contextmanager
def held(path: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file at `path` while the block runs; a holder that dies lets go of it.

    Args:
        path: made if need be, with its folder, and left behind: deleting it would let two in.
        while_waiting: called every POLL_S while somebody else holds it; may raise to give up.

    Raises:
        OSError: the lock file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    while True:
        try:
            lock.acquire(timeout=POLL_S)
            break
        except Timeout:
            while_waiting()
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock now. Never makes the file, never waits."""
    if not path.is_file():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # e.g. a read-only volume: nobody writes there
        return False
    lock.release()
    return False
