"""`key`: a new API key, and the entry that lets it in."""

from typing import Annotated

import typer
import yaml
from pydantic import ValidationError

from serve_app.access.keys import ApiKey, digest_of, make_key
from serve_app.cli.exits import fail


def key(
    name: Annotated[str, typer.Argument(help="Whose key: letters, digits, '.', '_' and '-'.")],
    requests_per_minute: Annotated[
        float | None, typer.Option(help="Most requests a minute; no limit if absent.")
    ] = None,
    concurrent: Annotated[
        int | None, typer.Option(help="Most requests at once; no limit if absent.")
    ] = None,
) -> None:
    """Make an API key. It goes to stderr, and to stdout its entry for the file of keys."""
    made = make_key()
    limits = {"requests_per_minute": requests_per_minute, "concurrent": concurrent}
    stated = {limit: value for limit, value in limits.items() if value is not None}
    entry = {"name": name, "sha256": digest_of(made), **stated}
    try:
        ApiKey.model_validate(entry)
    except ValidationError as error:
        fail(*(f"{one['loc'][0]}: {one['msg']}, not {one['input']!r}." for one in error.errors()))
    typer.echo(f"The key of {name}, shown this once: {made}", err=True)
    typer.echo(yaml.safe_dump([entry], sort_keys=False).rstrip())
