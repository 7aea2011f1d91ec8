"""`check`: a Serve config looked over."""

from pathlib import Path
from typing import Annotated

import typer

from serve_app.cli.exits import fail


def check(
    config: Annotated[Path, typer.Argument(help="A Serve config.")],
    insecure: Annotated[
        bool, typer.Option("--insecure", help="A public address may go without API keys.")
    ] = False,
) -> None:
    """Look a Serve config over for typos and contradictions that Serve would accept."""
    from serve_app.config_check import check_file  # Ray: seconds that other commands need not pay

    findings = check_file(config, insecure=insecure)
    if findings:
        fail(*findings)
    typer.echo(f"{config}: ok")
