"""How far a download is."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of one file, or of one hub repository, has arrived."""

    file: str
    """The file's name, or the repository's id."""
    done_bytes: int
    total_bytes: int | None
    """None: the server does not say."""
    is_elsewhere: bool = False
    """Another process fetches it, and this one waits."""


OnProgress = Callable[[Progress], None]
"""Called for every piece that arrives, on the thread that fetches. What it raises ends the
download; what has arrived by then is kept."""
