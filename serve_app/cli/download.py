"""`download`: weights onto this machine, before a server asks for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars

from deployments.weights import Progress, WeightsStore, discover, fetch
from inpaint.catalog import Catalog, CatalogError
from inpaint.errors import InpaintError, UnknownModelError
from inpaint.settings import AppArgs
from inpaint.specs import HubRepository, Licence, WeightsSpec
from serve_app.cli.catalogs import known_models
from serve_app.cli.exits import INTERRUPTED, fail
from serve_app.cli.folders import refusal_to_write
from serve_app.cli.start_config import applications, read_base
from serve_app.cli.start_options import StartError


def download(
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model's name, or a hub's owner/name; may be given several times."),
    ] = None,
    all_models: Annotated[
        bool, typer.Option("--all", help="Every model and adapter that has weights: 100 GB.")
    ] = False,
    model_dir: Annotated[
        Path | None, typer.Option(help="Where weights lie; $XDG_CACHE_HOME or ~/.cache if absent.")
    ] = None,
    model_folder: Annotated[
        list[Path] | None, typer.Option(help="A folder with model files (YAML) of your own.")
    ] = None,
    serve_config: Annotated[
        Path | None, typer.Option(help="A Serve config: its model folders and model directory.")
    ] = None,
) -> None:
    """Download models' weights, and check those that are here already."""
    if bool(model) == all_models:
        fail("Name what to download: --model=NAME, or --all.")
    folders, its_dir = _places(serve_config)
    folders += [folder.expanduser().absolute() for folder in model_folder or ()]
    store = WeightsStore(model_dir.expanduser().absolute() if model_dir else its_dir)
    try:
        catalog = known_models(folders, store.model_dir)
    except CatalogError as error:
        fail(str(error))
    specs = _chosen(catalog, model or ())
    failures = [reason for spec in specs if (reason := download_weights(spec, store, catalog))]
    if failures:
        fail(*failures)


def _places(serve_config: Path | None) -> tuple[list[Path], Path | None]:
    """The model folders and the model directory of a Serve config."""
    if serve_config is None:
        return [], None
    try:
        apps = [
            AppArgs.model_validate(app["args"]) for app in applications(read_base(serve_config))
        ]
    except StartError as error:
        fail(*error.args)
    except (ValueError, KeyError) as error:
        fail(f"--serve-config: {error}")
    return [folder for args in apps for folder in args.model_folders], apps[0].model_dir


def _chosen(catalog: Catalog, names: Sequence[str]) -> list[WeightsSpec]:
    if not names:
        return [spec for spec in (*catalog.models, *catalog.adapters) if _has_weights(spec)]
    try:
        specs = [_named(catalog, name) for name in dict.fromkeys(names)]
    except UnknownModelError as error:
        fail(error.detail)
    return list({spec.name: spec for spec in specs}.values())


def _named(catalog: Catalog, name: str) -> WeightsSpec:
    """A model, an adapter, or any repository of the hub; UnknownModelError for other words."""
    adapter = catalog.adapter(name)
    if adapter is not None:
        return adapter
    if name not in catalog and "/" in name:
        try:
            repository = HubRepository(repo_id=name)
        except ValidationError:
            return catalog.get(name)
        licence = Licence(name="unknown")
        return WeightsSpec(name=name, licence=licence, repository=repository, memory_mb=0)
    return catalog.get(name)


def _has_weights(spec: WeightsSpec) -> bool:
    return bool(spec.weights) or spec.repository is not None or spec.path is not None


def download_weights(spec: WeightsSpec, store: WeightsStore, catalog: Catalog) -> str | None:
    """Fetch what is missing and tell the user; why it failed, if it did."""
    if not _has_weights(spec):
        typer.echo(f"{spec.name}: needs no download.")
        return None
    is_here = store.size_on_disk(spec) is not None
    if not is_here and (refusal := refusal_to_write(store.model_dir)):
        return f"{spec.name}: {refusal}"
    try:
        _fetch(spec, store)
    except InpaintError as error:
        facts = "; ".join(f"{name}: {value}" for name, value in error.context.items())
        return f"{spec.name}: {error.detail}" + (f" ({facts})" if facts else "")
    except KeyboardInterrupt:
        typer.echo(
            f"{spec.name}: interrupted. The same command goes on where it stopped.", err=True
        )
        raise typer.Exit(INTERRUPTED) from None
    size = decimal(store.size_on_disk(spec) or 0)
    done = "is here already" if is_here else "downloaded"
    typer.echo(f"{spec.name}: {done}, {size} in {store.model_dir}.")
    if spec.name not in catalog and catalog.adapter(spec.name) is None:
        typer.echo(f"{spec.name}: {_use_of(spec.name, store, catalog)}")
    return None


def _use_of(name: str, store: WeightsStore, catalog: Catalog) -> str:
    """What becomes of a repository that no YAML file names."""
    found = discover(store.model_dir, catalog).models
    base = next((spec.diffusion.base for spec in found if spec.name == name and spec.diffusion), "")
    if not base:
        return (
            "no model that can be served; Stable Diffusion 1.5 and XL can. What completes one, as "
            "a ControlNet does, needs a YAML file of its own."
        )
    return f"of family {base.upper()}; a server that runs finds it when it is started anew."


def _fetch(spec: WeightsSpec, store: WeightsStore) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def show(progress: Progress) -> None:
            if progress.file not in tasks:
                tasks[progress.file] = bars.add_task(progress.file, total=None)
            bars.update(
                tasks[progress.file], completed=progress.done_bytes, total=progress.total_bytes
            )

        fetch(spec, store, show)
