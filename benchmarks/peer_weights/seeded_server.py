"""Starts IOPaint with the noise of `ldm` and `mat` seeded anew for each request.

Run with the interpreter of IOPaint's environment in place of its `iopaint` command:

    ~/peer/venv/bin/python benchmarks/peer_weights/seeded_server.py start --model=ldm --port=8090

IOPaint seeds torch when it loads these models, and never again: only the first answer of a server
can be had twice. What is compared is what every first answer is.
"""

from typing import Any

import torch
from iopaint import entry_point  # type: ignore[import-not-found]
from iopaint.model.ldm import LDM  # type: ignore[import-not-found]
from iopaint.model.mat import MAT  # type: ignore[import-not-found]

SEEDS = {LDM: 42, MAT: 240}
"""What IOPaint's modules for these models seed torch with."""


def seeded(forward: Any, seed: int) -> Any:
    """`forward` on a generator in its first state."""

    def forward_from_the_seed(*args: Any, **kwargs: Any) -> Any:
        torch.manual_seed(seed)
        return forward(*args, **kwargs)

    return forward_from_the_seed


if __name__ == "__main__":
    for model, its_seed in SEEDS.items():
        model.forward = seeded(model.forward, its_seed)
    entry_point()
