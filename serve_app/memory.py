"""How much memory the requests of one process may take at once; what is more is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from inpaint.errors import OverloadedError


class Memory:
    """A limit in bytes that requests share. May be used from any thread.

    Args:
        limit: how many bytes, in all.
        what: is said to whoever finds no room, such as "as many pictures".
    """

    def __init__(self, limit: int, what: str) -> None:
        self.limit = limit
        self._what = what
        self._held = 0
        self._lock = Lock()

    @property
    def held(self) -> int:
        """What all requests hold together."""
        return self._held

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """The share of one request, given back when the block ends."""
        share = Share(self)
        try:
            yield share
        finally:
            share.end()

    def count(self, share: "Share", change: int, *, may_refuse: bool) -> None:
        """Count `change` bytes for a share; see Share."""
        with self._lock:
            if share.has_ended:
                return
            if may_refuse:
                change = min(change, max(0, self.limit - share.held))
                if self._held + change > self.limit:
                    raise OverloadedError(
                        f"The server holds {self._what} as it has memory for; try again shortly.",
                        {"held_bytes": self._held, "limit_bytes": self.limit},
                    )
            self._held += change
            share.held += change


class Share:
    """What one request holds. Once it has ended, nothing counts: a thread may still be at work."""

    def __init__(self, memory: Memory) -> None:
        self.held = 0
        self.has_ended = False
        self._memory = memory

    def take(self, count: int) -> None:
        """Hold `count` more bytes.

        A request that wants more than there is counts as all there is, and so runs when it is
        alone.

        Raises:
            OverloadedError: there is no room beside what the others hold.
        """
        self._memory.count(self, count, may_refuse=True)

    def add(self, count: int) -> None:
        """Hold `count` more bytes, or fewer if it is negative, which is never refused."""
        self._memory.count(self, count, may_refuse=False)

    def end(self) -> None:
        """Give everything back."""
        self.add(-self.held)
        self.has_ended = True
