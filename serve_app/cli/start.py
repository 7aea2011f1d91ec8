"""`start`: the server on this machine, by flags that IOPaint's users know."""

import webbrowser
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn

import typer
import yaml

from deployments.weights import WeightsStore, is_extra_installed
from inpaint.catalog import Catalog, CatalogError
from inpaint.errors import UnknownModelError
from inpaint.settings import AppArgs
from inpaint.specs import Kind, ModelSpec
from serve_app.access.keys import KeysError, read_keys
from serve_app.cli import start_config, start_devices
from serve_app.cli.accelerators import Accelerators, Library, probe
from serve_app.cli.exits import fail
from serve_app.cli.folders import refusal_to_read, refusal_to_write
from serve_app.cli.start_config import Block
from serve_app.cli.start_notes import note_on_weights, notes
from serve_app.cli.start_options import StartError, StartOptions, read_options
from serve_app.cli.switches import Switch, switch


def start(
    model: Annotated[
        str | None, typer.Option(help="Who answers a request that names no model; see `list`.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:N, mps or auto; cpu if absent.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 8080 if absent.")] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 127.0.0.1 if absent.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="JSON with these settings; flags win over it.")
    ] = None,
    enable_ocr: Annotated[Switch | None, switch("Read text too: /ocr and /remove-text.")] = None,
    ocr_device: Annotated[
        str | None, typer.Option(help="Where OCR runs: cpu, cuda, cuda:N or auto; cpu if absent.")
    ] = None,
    model_dir: Annotated[
        Path | None, typer.Option(help="Where weights lie; $XDG_CACHE_HOME or ~/.cache if absent.")
    ] = None,
    local_files_only: Annotated[
        Switch | None, switch("Never download: a model without weights answers 503.")
    ] = None,
    no_half: Annotated[
        Switch | None, switch("float32 on CUDA too, for models that would run in float16.")
    ] = None,
    low_mem: Annotated[
        Switch | None, switch("Diffusion models encode and decode large pictures in tiles.")
    ] = None,
    cpu_offload: Annotated[
        Switch | None, switch("Keep diffusion models in main memory between their steps.")
    ] = None,
    cpu_textencoder: Annotated[
        Switch | None, switch("Run the text encoder of diffusion models on the CPU.")
    ] = None,
    disable_nsfw_checker: Annotated[
        Switch | None, switch("Do not check what diffusion models paint.")
    ] = None,
    quality: Annotated[
        int | None, typer.Option(help="JPEG quality under /api/v1, 1 to 100; 100 if absent.")
    ] = None,
    input: Annotated[
        Path | None, typer.Option(help="The picture that the web page opens with, or a folder.")
    ] = None,
    mask_dir: Annotated[
        Path | None, typer.Option(help="Masks for the file manager of IOPaint's page.")
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Where the web page saves pictures.")
    ] = None,
    enable_controlnet: Annotated[
        Switch | None, switch("The web page begins with ControlNet switched on.")
    ] = None,
    controlnet_method: Annotated[
        str | None,
        typer.Option(help="The ControlNet that the web page begins with; the model's first."),
    ] = None,
    inbrowser: Annotated[
        Switch | None, switch("Open the web page when the server is ready.")
    ] = None,
    api_keys: Annotated[
        Path | None, typer.Option(help="Ask for API keys: the file of those let in; see `key`.")
    ] = None,
    insecure: Annotated[
        Switch | None, switch("Let whoever reaches a public --host use the server.")
    ] = None,
    serve_config: Annotated[
        Path | None, typer.Option(help="A Serve config to start from; the shipped one if absent.")
    ] = None,
    dump_config: Annotated[
        bool, typer.Option("--dump-config", help="Print the Serve config and end.")
    ] = False,
) -> None:
    """Start the server on this machine; end it with Ctrl-C."""
    given = {name: value for name, value in locals().items() if name in StartOptions.model_fields}
    flags = {name: bool(v) if isinstance(v, Switch) else v for name, v in given.items()}
    try:
        options = read_options(flags, config)
        document = document_of(options)
        if not dump_config:
            _prepare_folders(options)
    except StartError as error:
        fail(*error.args)
    except (CatalogError, UnknownModelError) as error:
        fail(f"--serve-config: {error}")
    if dump_config:
        typer.echo(yaml.safe_dump(document, sort_keys=False))
    else:
        _run(document, bool(options.inbrowser))


def document_of(options: StartOptions) -> Block:
    """What to run. Says on stderr what the user should know of it.

    Raises:
        StartError, CatalogError, UnknownModelError: it cannot be had.
    """
    from serve_app.config_check import check  # Ray: seconds that other commands need not pay

    if options.input is not None and not options.input.expanduser().exists():
        raise StartError(f"--input: {options.input} does not exist.")
    base = start_config.read_base(options.serve_config)
    if options.serve_config is not None and (findings := check(base, insecure=True)):
        raise StartError(*findings)
    document = start_config.build(base, options, lambda spec: is_extra_installed(spec.extra))
    apps = list(start_config.applications(document))
    chosen = [_default_model(app) for app in apps]
    start_devices.put_devices(document, options, [default.family for default in chosen], _look)
    if findings := check(document, insecure=bool(options.insecure)):
        raise StartError(*findings)
    for app, default in zip(apps, chosen, strict=True):
        _tell(app, options, default)
    return document


def _look(libraries: Iterable[Library]) -> Accelerators:
    try:
        return probe(libraries)
    except OSError as error:
        raise StartError(f"The devices of this machine cannot be told: {error}") from None


class _Default(NamedTuple):
    """Who answers a request that names no model."""

    spec: ModelSpec
    family: str | None
    catalog: Catalog


def _default_model(app: Block) -> _Default:
    catalog = start_config.load_catalog(app)
    spec = start_config.default_model(app, catalog)
    return _Default(spec, start_config.family_of(app, catalog, spec), catalog)


def _tell(app: Block, options: StartOptions, default: _Default) -> None:
    """Say on stderr which settings change nothing, and what was named and is missing."""
    args = AppArgs.model_validate(app["args"])
    has_ocr = any(family.kind is Kind.OCR for family in args.families)
    sentences = list(notes(options, default.spec, has_ocr))
    model = default.spec if options.model is not None else None
    controlnet = default.catalog.adapter(options.controlnet_method or "")
    for named in filter(None, (model, controlnet)):
        state = WeightsStore(args.model_dir).state(named)
        sentences += note_on_weights(named, state, args.local_files_only)
    for sentence in sentences:
        typer.echo(sentence, err=True)


def _prepare_folders(options: StartOptions) -> None:
    """Make the folders that the server writes into.

    Raises:
        StartError: a folder or file that the user names cannot be used.
    """
    folder = options.model_dir
    if folder is not None:
        refusal = refusal_to_read if options.local_files_only else refusal_to_write
        _refuse("--model-dir", refusal(folder.expanduser()))
    if options.api_keys is not None:
        _check_keys(options.api_keys.expanduser())
    if options.mask_dir is not None:
        _refuse("--mask-dir", refusal_to_read(options.mask_dir.expanduser()))
    if options.output_dir is not None:
        _refuse("--output-dir", refusal_to_write(options.output_dir.expanduser()))


def _check_keys(path: Path) -> None:
    try:
        read_keys(path)
    except KeysError as error:
        raise StartError(f"--api-keys: {error}") from None


def _refuse(flag: str, reason: str | None) -> None:
    if reason is not None:
        raise StartError(f"{flag}: {reason}")


def _run(document: Block, in_browser: bool) -> NoReturn:
    from serve_app import launch

    http = document["http_options"]
    host, port = http.get("host", "127.0.0.1"), http.get("port", 8000)
    if not launch.is_port_free(host, port):
        fail(
            f"Port {port} of {host} is in use. End the program that listens there "
            f"(`ss -ltnp 'sport = :{port}'` names it), or choose another --port."
        )

    def greet(url: str) -> None:
        typer.echo(f"Ready: {url} (its API: {url}/docs). Ctrl-C ends it.", err=True)
        if in_browser:
            webbrowser.open(url)

    raise typer.Exit(launch.run(document, greet))
