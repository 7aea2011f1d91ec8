"""`bench`: how long a server takes, and how much it does in a second."""

import asyncio
import json
import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console

from serve_app.cli.exits import CommandError, fail
from serve_app.cli.tables import show, table_for

if TYPE_CHECKING:
    from serve_app.cli.targets import Target

SIZES, AT_ONCE, SECONDS = ["512"], [1, 4], 10.0
LARGEST_SIDE = 16384
COLUMNS = (
    *("model", "size", "clients", "requests", "failed"),
    *("p50 ms", "p95 ms", "p99 ms", "per second"),
)
_SIZE = re.compile(r"(\d+)(?:x(\d+))?")


class Plan(NamedTuple):
    """What to measure."""

    models: list[str]
    sizes: list[tuple[int, int]]
    """(width, height)."""
    clients: list[int]
    seconds: float
    values: dict[str, Any]
    """Of the file that --config names."""


def bench(
    model: Annotated[list[str], typer.Option(help="Whom to measure; may be given several times.")],
    size: Annotated[
        list[str] | None, typer.Option(help="Pixels, as 512 or 1920x1080; several times; 512.")
    ] = None,
    concurrency: Annotated[
        list[int] | None, typer.Option(min=1, help="Clients at once; several times; 1 and 4.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each case lasts.")] = SECONDS,
    config: Annotated[
        Path | None, typer.Option(help="JSON with IOPaint's request: what is asked for.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the JSON there; to stdout if absent.")
    ] = None,
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
    """Measure latency and throughput by model, size and number of clients; see `plot`."""
    from serve_app.cli.own_server import OwnServer  # Ray: seconds that --help need not pay
    from serve_app.cli.targets import interruptible, require_client, target

    require_client()
    from serve_app.cli.run_config import read_config  # httpx, which may not be installed

    try:
        sizes = [_size_of(word) for word in size or SIZES]
        plan = Plan(model, sizes, concurrency or AT_ONCE, seconds, read_config(config))
    except CommandError as error:
        fail(*error.args)
    with interruptible(), target(server, api_key, OwnServer(model, device, model_dir)) as place:
        result = asyncio.run(_measured(plan, place))
    written = json.dumps(result, indent=1)
    if output is None:
        typer.echo(written)
        return
    try:
        output.write_text(written + "\n", encoding="utf-8")
    except OSError as error:
        typer.echo(written)
        fail(f"--output: {output}: {error.strerror}.")


async def _measured(plan: Plan, place: "Target") -> dict[str, Any]:
    from inpaint.codecs import Format
    from inpaint_client import InpaintClientError
    from serve_app.cli.bench_load import clients_of, make_pair, measure, summed_up, warm_up
    from serve_app.cli.run_config import inpaint_params
    from serve_app.cli.targets import card_of, connected

    console = Console(stderr=True, highlight=False)
    cases = []
    async with connected(place, max(plan.clients)) as http:
        patient, hasty = clients_of(place.url, place.api_key, http)
        for name in plan.models:
            card = await card_of(place, http, name)
            try:
                wanted = inpaint_params(plan.values, card, Format.JPEG)
            except CommandError as error:
                fail(*error.args)
            for width, height in plan.sizes:
                pair = make_pair((height, width))
                with console.status(f"{card.name}, {width}x{height}"):
                    try:
                        await warm_up(patient, pair, wanted)
                    except InpaintClientError as error:
                        fail(f"{card.name}: {error}")
                    for clients in plan.clients:
                        done = await measure(hasty, pair, wanted, clients, plan.seconds)
                        facts = {"model": card.name, "size": [width, height], "clients": clients}
                        cases.append({**facts, **summed_up(*done)})
    _show(console, cases)
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "client": {"machine": platform.machine(), "cores": os.cpu_count()},
        "server_is_own": place.is_own,
        "cases": cases,
    }


def _show(console: Console, cases: list[dict[str, Any]]) -> None:
    table = table_for(console, *COLUMNS)
    for case in cases:
        latency = case["latency_ms"]
        shown = [f"{latency[name]:.0f}" if latency else "-" for name in ("p50", "p95", "p99")]
        width, height = case["size"]
        table.add_row(
            case["model"],
            f"{width}x{height}",
            str(case["clients"]),
            str(case["requests"]),
            ", ".join(f"{count} {code}" for code, count in case["failed"].items()) or "0",
            *shown,
            f"{case['per_second']:.2f}",
        )
    show(console, table)


def _size_of(word: str) -> tuple[int, int]:
    """(width, height) of "512" or "1920x1080"; CommandError for other words."""
    found = _SIZE.fullmatch(word)
    sides = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not all(1 <= side <= LARGEST_SIDE for side in sides):
        raise CommandError(f"--size: {word!r} is no size; write 512, or 1920x1080.")
    return sides
