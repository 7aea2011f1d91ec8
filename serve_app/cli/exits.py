"""How a command ends that cannot do what it was asked."""

from typing import NoReturn

import typer

INTERRUPTED = 130
"""The exit status that shells give to Ctrl-C."""


class CommandError(ValueError):
    """What a command was told cannot be done. One sentence an argument."""


def fail(*sentences: str) -> NoReturn:
    """Print `sentences` on stderr, one a line, and exit with status 1."""
    for sentence in sentences:
        typer.echo(sentence, err=True)
    raise typer.Exit(1)
