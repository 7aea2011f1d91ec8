"""What a Ray cluster on this machine holds, asked from outside without joining it."""

import re
from collections import Counter
from collections.abc import Mapping

import psutil
from ray._private import internal_api


def address_of(pid: int) -> str:
    """Where the cluster of a `serve run` listens, as one of its processes was told."""
    for process in psutil.Process(pid).children(recursive=True):
        try:
            words = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if found := re.search(r"--gcs-address=(\S+)", words):
            return found[1]
    raise RuntimeError("No process of this server knows of a Ray cluster.")


def stored(address: str) -> tuple[float, int]:
    """MiB in the object stores of all nodes, and in how many objects."""
    state = internal_api.get_state_from_address(address)
    try:
        stats = internal_api.get_memory_info_reply(state).store_stats
        return stats.object_store_bytes_used / 2**20, int(stats.num_local_objects)
    finally:
        state.disconnect()


def actors(address: str) -> Mapping[str, int]:
    """How many actors live, by class."""
    state = internal_api.get_state_from_address(address)
    try:
        table = state.actor_table(None)
    finally:
        state.disconnect()
    alive = (one for one in table.values() if one["State"] == "ALIVE")
    return dict(sorted(Counter(one["ActorClassName"] for one in alive).items()))
