"""The thread that a replica's models compute on."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Self, TypeVar

from deployments import devices
from inpaint.errors import Context, InpaintError, ModelError, OutOfMemoryError

logger = logging.getLogger("ray.serve")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Blame:
    """What to say when foreign code fails."""

    failed: str
    """To the caller, as a ModelError."""
    too_large: str
    """To the caller, as an OutOfMemoryError."""
    context: Context
    """To the log."""

    @classmethod
    def of_load(cls, model: str) -> Self:
        """For the load of a model."""
        return cls(
            f"The model '{model}' could not be loaded.",
            f"The model '{model}' did not fit into memory; try again later.",
            {"model": model},
        )


class DeviceThread:
    """Runs foreign code, one call at a time; knows whether it hangs or has lost its device.

    A call is never abandoned to run two at once: one whose caller has gone runs to its end, or
    leaves the queue if it has not begun.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._began: float | None = None
        self._patience = 1.0
        self._is_lost = False

    def check(self, hang_after_s: float) -> None:
        """Raise when only a restart can help: the device is lost, or a call never ends."""
        if self._is_lost:
            raise RuntimeError("The device reported an error that outlives the request.")
        began, limit_s = self._began, hang_after_s * self._patience
        if began is not None and time.monotonic() - began > limit_s:
            raise RuntimeError(f"A forward has run for over {limit_s:.0f} s.")

    def beat(self) -> None:
        """Let `check` be patient anew. Called by the running call, each time that it has got on."""
        self._began = time.monotonic()

    async def run(self, call: Callable[[], T], blame: Blame, patience: float = 1.0) -> T:
        """The answer of `call`, whose log lines are the caller's: they have its request's id.

        Args:
            call: foreign code.
            blame: what to say when it fails.
            patience: how many times as long as others it may take before it counts as hung.

        Raises:
            OutOfMemoryError: it did not fit; the replica goes on.
            ModelError: it failed in another way.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._executor, copy_context().run, self._timed, call, patience
            )
        except InpaintError:
            raise
        except Exception as error:  # the edge of foreign code
            raise self._explained(error, blame) from error

    def _explained(self, error: Exception, blame: Blame) -> InpaintError:
        """Our error for a foreign one."""
        trouble = devices.trouble_of(error)
        if trouble == "out-of-memory":
            devices.free_memory()
            return OutOfMemoryError(blame.too_large, blame.context)
        self._is_lost = self._is_lost or trouble == "device-lost"
        facts = " ".join(f"{key}={value}" for key, value in blame.context.items())
        logger.error("model failed: %s", facts, exc_info=error, extra=dict(blame.context))
        return ModelError(blame.failed, blame.context)

    def _timed(self, call: Callable[[], T], patience: float) -> T:
        self._patience = patience
        self._began = time.monotonic()
        try:
            return call()
        finally:
            self._began = None
