"""How a command ends that cannot do what it was asked."""

from typing import NoReturn

import typer


def fail(*sentences: str) -> NoReturn:
    """Print `sentences` on stderr, one a line, and exit with status 1."""
    for sentence in sentences:
        typer.echo(sentence, err=True)
    raise typer.Exit(1)
