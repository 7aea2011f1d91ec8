"""All pictures of one `run`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from inpaint.codecs import Format
from inpaint_client import AsyncClient, ModelCard
from serve_app.cli.exits import CommandError, fail
from serve_app.cli.run_config import inpaint_params, text_params
from serve_app.cli.run_report import Report
from serve_app.cli.run_tasks import Task
from serve_app.cli.run_work import Erasing, Files, Paint, RemovingText, patient, work
from serve_app.cli.targets import Target, card_of, connected


@dataclass(frozen=True, slots=True)
class Batch:
    """What to do."""

    tasks: Sequence[Task]
    format: Format
    """Of the results."""
    model: str
    values: Mapping[str, Any]
    """Of the file that --config names."""
    removes_text: bool
    concat: bool
    overwrite: bool
    at_once: int
    timeout_s: float
    report: Path | None

    def check(self) -> None:
        """Raise CommandError where the report cannot be written: better now than at the end."""
        if self.report is None:
            return
        try:
            self.report.touch()
        except OSError as error:
            raise CommandError(f"--report: {self.report}: {error.strerror}.") from None

    def paint(self, client: AsyncClient, card: ModelCard) -> Paint:
        """What is done with one picture.

        Raises:
            CommandError: the file of --config does not fit.
        """
        if self.removes_text:
            return RemovingText(client, text_params(self.values, card, self.format))
        return Erasing(client, inpaint_params(self.values, card, self.format))


async def run_batch(batch: Batch, target: Target) -> bool:
    """Whether all pictures are there now."""
    async with connected(target, batch.at_once) as http:
        card = await card_of(target, http, batch.model)
        client = AsyncClient(
            target.url,
            api_key=target.api_key,
            timeout_s=batch.timeout_s,
            retries=patient(batch.timeout_s),
            http=http,
        )
        try:
            paint = batch.paint(client, card)
        except CommandError as error:
            fail(*error.args)
        files = Files(batch.format, batch.concat, batch.overwrite)
        report = Report(len(batch.tasks), batch.report, Console(stderr=True))
        try:
            with report:
                await work(batch.tasks, paint, files, batch.at_once, report.add)
        finally:
            typer.echo(report.summary())
        return not report.failures and not report.left
