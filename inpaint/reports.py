"""What replicas tell the rest of the service about themselves."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Download:
    """How far one process is with fetching the weights of a model."""

    model: str
    done_bytes: int
    total_bytes: int | None
    """Of the file that is being fetched; None: nobody has said yet."""

    @property
    def fraction(self) -> float | None:
        """0 to 1."""
        return min(self.done_bytes / self.total_bytes, 1.0) if self.total_bytes else None


def furthest(downloads: Iterable[Download]) -> Download:
    """Of several downloads of one model; of two that wait for one another, the one that works."""
    return max(downloads, key=lambda download: (download.done_bytes, download.total_bytes or 0))


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """What one replica holds at the moment."""

    replica: str
    family: str
    loaded: tuple[str, ...]
    held_bytes: int
    downloads: tuple[Download, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What all replicas hold together, as one answer of the Registry."""

    replicas_holding: dict[str, int]
    """Model name to the number of replicas that have it loaded."""
    default_model: str | None = None
    """Who answers a request without a model; None: whom the config names."""
    downloads: dict[str, Download] = field(default_factory=dict)
    """Model name to the download that is the furthest."""
