"""Families whose queue was full a moment ago: why decode a picture to be refused again?"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inpaint.errors import OverloadedError

FULL_FOR_S = 0.2
"""How long a family counts as full. A queue of the shipped length takes longer to be worked off,
so that no replica runs dry meanwhile; and what an overload costs the edge is no longer a decoded
picture for each request that it refuses."""


class FullFamilies:
    """Remembers refusals, and repeats them.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._refusals: dict[str, tuple[float, OverloadedError]] = {}

    def check(self, family: str) -> None:
        """Raise the OverloadedError that the family's queue raised just now, if it did."""
        until, error = self._refusals.get(family, (0.0, None))
        if error is not None and self._clock() < until:
            raise OverloadedError(error.detail, error.context)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Take note of a refusal in the block."""
        try:
            yield
        except OverloadedError as error:
            family, now = str(error.context.get("family", "")), self._clock()
            if family and now >= self._refusals.get(family, (0.0, None))[0]:
                self._refusals[family] = (now + FULL_FOR_S, error)
            raise
