"""The server that a command drives: one that runs, or one that it starts and ends itself."""

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from deployments.weights import WeightsStore
from inpaint.catalog import CatalogError
from inpaint.errors import UnknownModelError
from inpaint.specs import Kind
from inpaint.states import ModelState
from serve_app.cli import own_server
from serve_app.cli.catalogs import known_models
from serve_app.cli.download import download_weights
from serve_app.cli.exits import INTERRUPTED, fail
from serve_app.cli.own_server import OwnServer
from serve_app.cli.start_options import StartError

if TYPE_CHECKING:  # httpx may not be installed
    from httpx import AsyncClient as Http

    from inpaint_client import ModelCard

PROBES = 2
"""Connections beside those of the work."""
ATTEMPTS = 3
"""To reach the server at all; a wrong address should be told at once."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server."""

    url: str
    is_own: bool
    """Started by this command: on this machine, so that no proxy lies between."""
    api_key: str | None


def require_client() -> None:
    """End the command if it cannot speak HTTP."""
    if find_spec("httpx") is None:
        fail("This command needs a package: pip install 'inpaint-serve[client]'.")


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block as an exception does, and the command with status 130."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def target(url: str | None, api_key: str | None, wanted: OwnServer) -> Iterator[Target]:
    """The server at `url`; None: one that is started for the block.

    Args:
        url: where a server runs.
        api_key: of that server.
        wanted: what is to be started where none is named.
    """
    if url is None:
        with _started(wanted) as started:
            yield Target(started, is_own=True, api_key=None)
        return
    for flag, value in (("--device", wanted.device), ("--model-dir", wanted.model_dir)):
        if value is not None:
            fail(f"{flag} is for a server that is started; --server names one that runs.")
    yield Target(url, is_own=False, api_key=api_key)


@contextmanager
def _started(wanted: OwnServer) -> Iterator[str]:
    console = Console(stderr=True)
    with ExitStack() as stack:
        try:
            document = own_server.config_of(wanted)
            _fetch_missing(wanted)
            with console.status(f"Starting a server for {', '.join(wanted.models)}."):
                url = stack.enter_context(own_server.running(document))
        except StartError as error:
            fail(*error.args)
        except CatalogError as error:
            fail(str(error))
        except UnknownModelError as error:
            fail(error.detail)
        yield url


def _fetch_missing(wanted: OwnServer) -> None:
    """Fetch weights before the server is asked for them, as IOPaint does."""
    model_dir = wanted.model_dir
    store = WeightsStore(model_dir.expanduser().absolute() if model_dir else None)
    catalog = known_models((), store.model_dir)
    for name in wanted.models:
        spec = catalog.get(name)
        if store.state(spec) is ModelState.MISSING:
            reason = download_weights(spec, store, catalog)
            if reason is not None:
                fail(reason)


@asynccontextmanager
async def connected(target: Target, at_once: int) -> AsyncIterator["Http"]:
    """An HTTP client with room for so many requests."""
    import httpx

    limits = httpx.Limits(max_connections=at_once + PROBES)
    async with httpx.AsyncClient(trust_env=not target.is_own, limits=limits) as http:
        yield http


async def card_of(target: Target, http: "Http", name: str) -> "ModelCard":
    """What the server says of a model that is to paint; ends the command where it cannot."""
    from inpaint_client import ApiError, AsyncClient, NoAnswerError, RetryPolicy

    retries = RetryPolicy(attempts=ATTEMPTS)
    client = AsyncClient(target.url, api_key=target.api_key, retries=retries, http=http)
    try:
        card = await client.model(name)
    except ApiError as error:
        fail(error.detail)
    except NoAnswerError as error:
        fail(f"{target.url}: {error}")
    if card.kind == Kind.OCR:
        fail(f"The model '{card.name}' reads text and repaints nothing.")
    if not card.available:
        fail(f"The model '{card.name}' cannot be run: {card.unavailable_because}")
    return card
