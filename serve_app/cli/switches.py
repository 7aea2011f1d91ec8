"""Options that are true or false: `--flag`, `--flag=true`, `--flag=false`.

Typer's own flags take no value, and IOPaint's guide writes `--no-half=false`. So a switch is an
option with a value, and a bare `--flag` is read as `--flag=true`. A value must follow a `=`: the
word after a bare `--flag` is the next option's business.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import typer
from typer.core import TyperCommand

METAVAR = "[=true|false]"
"""Marks a switch among a command's options."""

WORDS = {
    **dict.fromkeys(("true", "1", "yes", "y", "on", "t"), True),
    **dict.fromkeys(("false", "0", "no", "n", "off", "f"), False),
}


class Switch:
    """The value of a switch that was given: true or false, and so in a condition."""

    def __init__(self, word: str) -> None:
        if word.lower() not in WORDS:
            raise typer.BadParameter(f"{word!r} is neither true nor false.")
        self._is_on = WORDS[word.lower()]

    def __bool__(self) -> bool:
        return self._is_on


def switch(help: str) -> Any:
    """A typer option for an argument annotated `Switch | None`; None where it is not given."""
    return typer.Option(parser=Switch, metavar=METAVAR, help=help)


class SwitchCommand(TyperCommand):
    """A command whose switches may stand without a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See TyperCommand.parse_args. `ctx` is click's, of which newer typers have a copy."""
        names = {
            name for param in self.params if getattr(param, "metavar", None) == METAVAR
            for name in param.opts
        }  # fmt: skip
        _refuse_loose_values(ctx, args, names)
        return super().parse_args(ctx, list(_with_values(args, names)))


def _with_values(args: Sequence[str], names: set[str]) -> Iterator[str]:
    rest = args.index("--") if "--" in args else len(args)
    for position, word in enumerate(args):
        yield f"{word}=true" if position < rest and word in names else word


def _refuse_loose_values(ctx: typer.Context, args: Sequence[str], names: set[str]) -> None:
    for word, following in pairwise(args):
        if word in names and re.fullmatch("true|false", following, re.IGNORECASE):
            ctx.fail(f"Write {word}={following}: the value of {word} follows a '='.")
