"""The command line: `python main.py ...`, or `inpaint-serve ...` once installed."""

import copy
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from inpaint.resources import default_serve_config
from serve_app import launch
from serve_app.config_check import check, check_file

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Serve inpainting models.")


@app.command("check")
def check_command(
    config: Annotated[Path, typer.Argument(help="A Serve config.")],
) -> None:
    """Look a Serve config over for typos and contradictions that Serve would accept."""
    findings = check_file(config)
    for finding in findings:
        typer.echo(finding, err=True)
    if findings:
        raise typer.Exit(1)
    typer.echo(f"{config}: ok")


@app.command()
def start(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8080,
    model: Annotated[
        str | None, typer.Option(help="Who answers a request that names no model.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="cpu, cuda, cuda:N, mps or auto; as the config says if absent."),
    ] = None,
    model_dir: Annotated[
        Path | None, typer.Option(help="Holds torch/hub/checkpoints; IOPaint's place if absent.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A Serve config to start from; the shipped one if absent.")
    ] = None,
    dump_config: Annotated[
        bool, typer.Option("--dump-config", help="Print the Serve config instead of running it.")
    ] = False,
) -> None:
    """Start the server on this machine; end it with Ctrl-C."""
    base = yaml.safe_load((config or default_serve_config()).read_text(encoding="utf-8"))
    changes = {"default_models": [model] if model else None,
               "model_dir": str(model_dir.resolve()) if model_dir else None}  # fmt: skip
    document = _changed(base, host, port, device, changes)
    findings = check(document)
    if findings:
        typer.echo("\n".join(findings), err=True)
        raise typer.Exit(1)
    if dump_config:
        typer.echo(yaml.safe_dump(document, sort_keys=False))
        return
    if not launch.is_port_free(host, port):
        typer.echo(
            f"Port {port} of {host} is in use. End the program that listens there "
            f"(`ss -ltnp 'sport = :{port}'` names it), or choose another --port.",
            err=True,
        )
        raise typer.Exit(1)
    raise typer.Exit(launch.run(document))


def _changed(
    base: dict[str, Any], host: str, port: int, device: str | None, args: dict[str, Any]
) -> dict[str, Any]:
    """The Serve config with what the flags say put in."""
    document = copy.deepcopy(base)
    document.setdefault("http_options", {}).update(host=host, port=port)
    for application in document["applications"]:
        known = application["args"]
        known.update({key: value for key, value in args.items() if value is not None})
        if device is not None:
            known["families"] = [family | {"device": device} for family in known["families"]]
    return document
