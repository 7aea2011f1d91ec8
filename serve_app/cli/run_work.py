"""Sends the pictures of `run` to a server, a few at a time."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from inpaint.codecs import Format
from inpaint.errors import InpaintError
from inpaint_client import ApiError, AsyncClient, NoAnswerError, RemoveTextParams, RetryPolicy
from inpaint_client.files import write_whole
from serve_app.cli.run_config import Wanted
from serve_app.cli.run_pixels import concat, read_pair
from serve_app.cli.run_report import Fate, Outcome
from serve_app.cli.run_tasks import Task, is_complete

NO_ANSWER = "no-answer"
FOR_ALL = frozenset(
    {
        NO_ANSWER,
        "unauthorized",
        "unknown-model",
        "family-missing",
        "extra-missing",
        "no-gpu",
        "weights-missing",
        "weights-corrupt",
    }
)
"""Codes of what the next picture would meet as well, until somebody does something."""


def patient(timeout_s: float) -> RetryPolicy:
    """Retries for a batch, which waits for a busy server as long as a picture may take."""
    return RetryPolicy(attempts=1000, total_s=timeout_s)


class Painted(NamedTuple):
    """One picture, as the server has answered it."""

    data: bytes
    mask: bytes
    """What was repainted."""
    source: bytes
    request_id: str
    seed: int | None = None
    text_removed: int | None = None


class Paint(Protocol):
    """Has one picture repainted. Raises what clients and codecs raise, OSError, NotSentError."""

    async def __call__(self, task: Task) -> Painted: ...


class NotSentError(Exception):
    """A picture that is not sent; args are code and detail."""


@dataclass(frozen=True, slots=True)
class Erasing:
    """By masks."""

    client: AsyncClient
    wanted: Wanted

    async def __call__(self, task: Task) -> Painted:
        """See Paint."""
        if task.mask is None:
            raise NotSentError("mask-missing", "no mask is called as this picture is")
        picture, mask = await asyncio.to_thread(read_pair, task.image, task.mask)
        params, example = self.wanted
        result = await self.client.inpaint(picture, mask, example=example, **params)
        return Painted(result.data, mask, picture, result.request_id, seed=result.seed)


@dataclass(frozen=True, slots=True)
class RemovingText:
    """By what the server finds."""

    client: AsyncClient
    params: RemoveTextParams

    async def __call__(self, task: Task) -> Painted:
        """See Paint."""
        picture = await asyncio.to_thread(task.image.read_bytes)
        result = await self.client.remove_text(picture, **self.params)
        return Painted(
            result.data or b"", result.mask, picture, result.request_id, text_removed=result.removed
        )


@dataclass(frozen=True, slots=True)
class Files:
    """How results are written."""

    format: Format
    concat: bool = False
    overwrite: bool = False


async def work(
    tasks: Iterable[Task],
    paint: Paint,
    files: Files,
    at_once: int,
    tell: Callable[[Outcome], None],
) -> None:
    """Do all tasks; what fails is told, and the others go on.

    Only what every picture would meet (FOR_ALL) ends the work: no further one is begun.

    Args:
        tasks: the pictures.
        paint: has one repainted.
        files: how results are written.
        at_once: most pictures under way at the same time.
        tell: hears of every outcome as it comes.
    """
    waiting = iter(tasks)
    is_over = False

    async def one_after_the_other() -> None:
        nonlocal is_over
        for task in waiting:
            outcome = await _tried(task, paint, files)
            is_over = is_over or outcome.code in FOR_ALL
            tell(outcome)
            if is_over:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_the_other())


async def _tried(task: Task, paint: Paint, files: Files) -> Outcome:
    began = time.monotonic()
    failed = partial(Outcome, task, Fate.FAILED)
    try:
        outcome = await _done(task, paint, files)
    except NotSentError as error:
        code, detail = error.args
        outcome = failed(code=code, detail=detail)
    except ApiError as error:
        outcome = failed(code=error.code, detail=error.detail, request_id=error.request_id)
    except NoAnswerError as error:
        outcome = failed(code=NO_ANSWER, detail=str(error))
    except InpaintError as error:
        outcome = failed(code=error.code, detail=error.detail)
    except OSError as error:
        outcome = failed(code="file", detail=f"{error.filename}: {error.strerror}")
    return replace(outcome, took_s=time.monotonic() - began)


async def _done(task: Task, paint: Paint, files: Files) -> Outcome:
    if not files.overwrite and await asyncio.to_thread(is_complete, task.output):
        return Outcome(task, Fate.SKIPPED)
    painted = await paint(task)
    await asyncio.to_thread(_write, task.output, painted, files)
    return Outcome(
        task,
        Fate.DONE,
        request_id=painted.request_id,
        seed=painted.seed,
        text_removed=painted.text_removed,
    )


def _write(path: Path, painted: Painted, files: Files) -> None:
    data = painted.data
    if files.concat:
        data = concat(painted.source, painted.mask, data, files.format)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)
