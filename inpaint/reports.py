"""What replicas tell the rest of the service about themselves."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """What one replica holds at the moment."""

    replica: str
    family: str
    loaded: tuple[str, ...]
    held_bytes: int


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What all replicas hold together, as one answer of the Registry."""

    replicas_holding: dict[str, int]
    """Model name to the number of replicas that have it loaded."""
