"""`list`: every model, and what this machine has of it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal

from deployments.weights import WeightsStore, discover
from inpaint.specs import AdapterSpec, ModelSpec, WeightsSpec
from serve_app.cli.catalogs import configured_models
from serve_app.cli.tables import show, table_for

COLUMNS = ("name", "family", "state", "size", "licence", "commercial use")
ADAPTER_COLUMNS = ("adapter", "role", "for", *COLUMNS[2:])
COLOURS = {"downloaded": "green", "downloading": "yellow"}


def list_models(
    model_dir: Annotated[
        Path | None, typer.Option(help="Where weights lie; $XDG_CACHE_HOME or ~/.cache if absent.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the models, what of them is on this machine, and their licences."""
    store = WeightsStore(model_dir.expanduser().absolute() if model_dir else None)
    catalog = configured_models()
    found = discover(store.model_dir, catalog)
    models = [_describe(spec, store) for spec in catalog.with_found(found.models).models]
    adapters = [_describe(spec, store) for spec in catalog.adapters]
    if as_json:
        typer.echo(json.dumps([*models, *adapters], indent=2))
    else:
        _show(COLUMNS, models, ("family",))
        typer.echo()
        _show(ADAPTER_COLUMNS, adapters, ("role", "fits"))
    for entry in found.unusable:
        typer.echo(f"{entry.path}: not served: {entry.reason}.", err=True)


def _describe(spec: ModelSpec | AdapterSpec, store: WeightsStore) -> dict[str, Any]:
    if isinstance(spec, ModelSpec):
        kind = {"aliases": list(spec.aliases), "family": spec.family, "kind": str(spec.kind)}
    else:
        fits = ", ".join([*(base.upper() for base in spec.bases), *spec.models])
        kind = {"kind": "adapter", "role": spec.role, "fits": fits}
    return {"name": spec.name, **kind, **_describe_weights(spec, store)}


def _describe_weights(spec: WeightsSpec, store: WeightsStore) -> dict[str, Any]:
    return {
        "state": str(store.state(spec)),
        "size_on_disk": store.size_on_disk(spec),
        "licence": spec.licence.name,
        "commercial_use": spec.licence.commercial_use,
    }


def _show(columns: Iterable[str], entries: list[dict[str, Any]], shown: Iterable[str]) -> None:
    """A table.

    Args:
        columns: the head.
        entries: one for each row.
        shown: keys of what stands between the name and the state.
    """
    console = Console(highlight=False)
    table = table_for(console, *columns)
    for model in entries:
        size = model["size_on_disk"]
        allowed = {True: "yes", False: "no", None: "not stated"}[model["commercial_use"]]
        state = model["state"]
        table.add_row(
            model["name"],
            *(model[key] for key in shown),
            f"[{COLOURS[state]}]{state}[/]" if state in COLOURS else state,
            decimal(size) if size else "-",
            model["licence"],
            allowed,
        )
    show(console, table)
