"""Calls to families through Serve handles, with Serve's errors turned into ours."""

import asyncio
from collections.abc import AsyncIterable, Awaitable
from functools import cached_property
from typing import Any, Protocol, cast

from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    RayActorError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.exceptions import OutOfMemoryError as NodeOutOfMemoryError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle, DeploymentResponseGenerator

from inpaint.arrays import Image, Mask
from inpaint.deadlines import Deadline
from inpaint.diffusion import Step
from inpaint.errors import (
    InpaintError,
    ModelError,
    OverloadedError,
    ReplicaLostError,
    UnavailableError,
)
from inpaint.params import DiffusionParams, Params
from inpaint.protocols import Painted
from inpaint.texts import ReadOptions, ReadResult
from serve_app.families import OnStep

LOST = (RayActorError, NodeDiedError, NodeOutOfMemoryError, ObjectLostError, WorkerCrashedError)
"""What Ray raises when the process or the node that ran a call is gone."""


class Cancellable(Protocol):
    """Serve's answer to a call."""

    def cancel(self) -> None:
        """Stop the remote call."""
        ...


class ServeFamily:
    """A family behind a Serve handle: paints or reads, as its kind is."""

    def __init__(self, name: str, handle: DeploymentHandle[Any]) -> None:
        self._name = name
        self._handle = handle

    async def paint(
        self, model: str, image: Image, mask: Mask, params: Params, deadline: Deadline
    ) -> Painted:
        """See Family.paint. Arrays above 100 kB travel by reference, through shared memory."""
        answer: Painted = await self._call("paint", deadline, model, image, mask, params)
        return answer

    async def read(self, image: Image, options: ReadOptions, deadline: Deadline) -> ReadResult:
        """See TextFamily.read."""
        answer: ReadResult = await self._call("read", deadline, image, options)
        return answer

    async def paint_steps(
        self,
        model: str,
        image: Image,
        mask: Mask,
        params: DiffusionParams,
        deadline: Deadline,
        on_step: OnStep,
        previews: bool,
        example: Image | None,
    ) -> Painted:
        """See DiffusionFamily.paint_steps."""
        response = cast(
            DeploymentResponseGenerator[Any],
            self._streaming.paint.remote(model, image, mask, params, previews, example),
        )
        painted: Painted = await self._within(deadline, response, _last(response, on_step))
        return painted

    async def _call(self, method: str, deadline: Deadline, *args: object) -> Any:
        response = getattr(self._handle, method).remote(*args)
        return await self._within(deadline, response, response)

    async def _within(
        self, deadline: Deadline, response: Cancellable, answer: Awaitable[Any]
    ) -> Any:
        """The answer of a remote call, which ends with the deadline or the caller."""
        try:
            async with asyncio.timeout(deadline.left_s):
                return await _translated(self._name, answer)
        except TimeoutError as error:
            response.cancel()  # a timeout alone leaves the remote call running
            raise deadline.error() from error
        except asyncio.CancelledError:
            response.cancel()  # and so does a caller that gives up
            raise

    @cached_property
    def _streaming(self) -> DeploymentHandle[Any]:
        """The handle for methods that are generators; made once, since it is not for nothing."""
        return self._handle.options(stream=True)


async def _last(events: AsyncIterable[Any], on_step: OnStep) -> Painted:
    """What a run ends with, its steps having been told."""
    painted: Painted | None = None
    async for event in events:
        if isinstance(event, Step):
            on_step(event)
        else:
            painted = event
    if painted is None:
        raise ModelError("The run ended without a picture.")
    return painted


async def _translated(family: str, response: Awaitable[Any]) -> Any:
    try:
        return await response
    except InpaintError as error:
        raise cause_of(error) from error
    except BackPressureError as error:
        retry_after_s = float(error.retry_after_s or OverloadedError.retry_after_s or 1)
        raise OverloadedError(
            f"All replicas of '{family}' are busy and the queue is full; try again shortly.",
            {"family": family, "retry_after_s": retry_after_s},
        ) from error
    except LOST as error:
        raise ReplicaLostError(
            f"A replica of '{family}' died while it ran this request.", {"family": family}
        ) from error
    except DeploymentUnavailableError as error:
        raise UnavailableError(f"'{family}' cannot start at the moment.") from error
    except RayError as error:
        raise ModelError(f"'{family}' failed on this request.", {"family": family}) from error


def cause_of(error: InpaintError) -> InpaintError:
    """The error that a replica raised, without Ray's wrapper, whose text holds a traceback."""
    if isinstance(error, RayTaskError) and isinstance(error.cause, InpaintError):
        return error.cause
    return error
