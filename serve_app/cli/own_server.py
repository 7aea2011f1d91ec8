"""A server that a command starts for itself, and ends."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from inpaint.specs import Kind
from serve_app import launch, session
from serve_app.cli import start_config
from serve_app.cli.start_config import HOST, Block
from serve_app.cli.start_options import StartError, StartOptions

SHOWN_LINES = 15
"""Of the log of a server that did not start."""


class OwnServer(NamedTuple):
    """How the server is to be."""

    models: Sequence[str]
    """Whose families run, and no others."""
    device: str | None = None
    model_dir: Path | None = None
    reads_text: bool = False


def config_of(wanted: OwnServer) -> Block:
    """The Serve config, on a free port of this machine.

    Raises:
        StartError, CatalogError, UnknownModelError: it cannot be had; see `start`.
    """
    from serve_app.cli.start import document_of  # Ray: seconds that other commands need not pay

    options = StartOptions(
        model=wanted.models[0],
        device=wanted.device,
        host=HOST,
        port=launch.free_port(HOST),
        model_dir=wanted.model_dir,
        enable_ocr=wanted.reads_text,
    )
    document = document_of(options)
    document["applications"] = list(start_config.applications(document))  # nobody opens the page
    for app in start_config.applications(document):
        app["args"].get("iopaint", {}).pop("sockets", None)
        catalog = start_config.load_catalog(app)
        specs = [catalog.get(name) for name in wanted.models]
        kept = {start_config.family_of(app, catalog, spec) for spec in specs}
        start_config.leave_out(
            app,
            [
                family
                for family in start_config.families(app)
                if family["deployment"] not in kept and family["kind"] != Kind.OCR
            ],
        )
    return document


@contextmanager
def running(document: Block) -> Iterator[str]:
    """`serve run` on a config until the block ends; gives the URL once it is ready.

    Ctrl-C ends the block and then the server; a second one does not wait for it.

    Raises:
        StartError: it ended before it was ready.
    """
    options = document["http_options"]
    url = launch.url_of(options["host"], options["port"])
    with tempfile.TemporaryDirectory(prefix="inpaint-serve-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            child = subprocess.Popen(  # noqa: S603  our own
                launch.written_command(document, Path(folder)),
                env={**launch.ENV, **os.environ},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's Ctrl-C is for this process
            )
        try:
            while not launch.is_ready(url):
                if child.poll() is not None:
                    lines = log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
                    raise StartError("The server did not start. Its last words:", *lines)
                time.sleep(launch.LOOK_EVERY_S)
            yield url
        finally:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the server and all that it has started."""
    grace_s = launch.GRACE_S
    try:
        child.terminate()
        child.wait()
    except KeyboardInterrupt:
        child.kill()
        child.wait()
        grace_s = 0
        raise
    finally:
        session.end(child.pid, grace_s)
