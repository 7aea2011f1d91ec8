"""`run`: many pictures, by IOPaint's flags."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from serve_app.cli.exits import CommandError, fail

AT_ONCE = 4
TIMEOUT_S = 600.0


def run(
    image: Annotated[Path, typer.Option(help="A picture, or a folder of pictures.")],
    output: Annotated[Path, typer.Option(help="A folder; of a single picture also a file.")],
    mask: Annotated[
        Path | None,
        typer.Option(help="One mask for all pictures, or a folder of masks called as they are."),
    ] = None,
    model: Annotated[str, typer.Option(help="Who repaints; see `list`.")] = "lama",
    remove_text: Annotated[
        bool, typer.Option("--remove-text", help="Erase what text is found; no masks are needed.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(help="JSON: IOPaint's request; with --remove-text the fields of that route."),
    ] = None,
    concat: Annotated[
        bool, typer.Option("--concat/--no-concat", help="Picture, mask and result side by side.")
    ] = False,
    format: Annotated[str | None, typer.Option(help="Of the results: png, jpeg ...; png.")] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Folders within the folders, too.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make results anew that are there already.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write what became of each picture: a line of JSON.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Most pictures at once.")] = AT_ONCE,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds for one picture, all waiting included.")
    ] = TIMEOUT_S,
    server: Annotated[
        str | None, typer.Option(help="URL of a server that runs; absent: one is started.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="INPAINT_API_KEY", help="Of that server.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Of the server that is started; cpu if absent.")
    ] = None,
    model_dir: Annotated[
        Path | None, typer.Option(help="Where it finds weights; see `start`.")
    ] = None,
) -> None:
    """Repaint many pictures. Given again, it goes on where it stopped."""
    from inpaint.codecs import Format  # OpenCV and Ray: seconds that --help need not pay
    from inpaint.errors import ParamsError
    from serve_app.cli.own_server import OwnServer
    from serve_app.cli.run_tasks import Places, list_tasks
    from serve_app.cli.targets import interruptible, require_client, target

    require_client()
    from serve_app.cli.run_batch import Batch, run_batch  # httpx, which may not be installed
    from serve_app.cli.run_config import read_config

    try:
        if remove_text == (mask is not None):
            raise CommandError("Say what to erase: --mask, or --remove-text.")
        parsed = Format.parse(format) if format else None
        tasks, result_format = list_tasks(Places(image, output, mask, recursive, parsed))
        batch = Batch(
            tasks=tasks,
            format=result_format,
            model=model,
            values=read_config(config),
            removes_text=remove_text,
            concat=concat,
            overwrite=overwrite,
            at_once=concurrency,
            timeout_s=timeout,
            report=report,
        )
        batch.check()
    except CommandError as error:
        fail(*error.args)
    except ParamsError as error:
        fail(f"--format: {error.detail}")
    own = OwnServer([model], device, model_dir, reads_text=remove_text)
    with interruptible(), target(server, api_key, own) as place:
        is_good = asyncio.run(run_batch(batch, place))
    if not is_good:
        raise typer.Exit(1)
