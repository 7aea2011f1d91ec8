"""Networks beside a checkpoint's own, loaded when first asked for and kept."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

Network = TypeVar("Network")

KEPT = 4
"""How many are kept at once: LCM-LoRA, two ControlNets and what estimates depth for them. A
ControlNet of SD 1.5 takes 0.7 GiB in half precision."""


class AdapterShelf:
    """Keeps what was read from a path; the least recently used goes first.

    Args:
        kept: how many stay.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._networks: OrderedDict[Path, object] = OrderedDict()

    def get(self, path: Path, read: Callable[[Path], Network]) -> Network:
        """What `read` makes of `path`, from the shelf where it is there.

        Room is made before reading, so that there is never one more than are kept.
        """
        if path not in self._networks:
            while len(self._networks) >= self._kept:
                self._networks.popitem(last=False)
            self._networks[path] = read(path)
        self._networks.move_to_end(path)
        return cast(Network, self._networks[path])

    def __len__(self) -> int:
        return len(self._networks)
