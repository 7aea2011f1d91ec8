"""Ask both servers the same, and print what differs.

    python -m benchmarks.api_parity --peer-python ~/peer/bin/python [--json PATH] [--only PATTERN]

Both run on stand-in weights. Exit status 1: something differs that
`benchmarks/api_parity/expected.py` does not allow, or no longer differs though it says so.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from benchmarks.api_parity.calls import Case, Server
from benchmarks.api_parity.compare import compare
from benchmarks.api_parity.expected import EXPECTED
from benchmarks.api_parity.files import photo, saved
from benchmarks.api_parity.other_cases import (
    file_cases,
    last_cases,
    refused_cases,
    switch_cases,
    tool_cases,
)
from benchmarks.api_parity.picture_cases import picture_cases
from benchmarks.api_parity.report import HEADING, Row, judge, summary, write_json
from benchmarks.peer import peer
from benchmarks.servers import serve_run
from inpaint.resources import default_serve_config
from tests.standins import md5_of
from tests.standins.lama import write_lama_torchscript

NETWORK_LEVELS = 1
"""A network's sums may be taken in another order in another process."""


@dataclass
class Run:
    """The cases asked so far."""

    only: str
    rows: list[Row] = field(default_factory=list)

    def ask(
        self, cases: Iterable[Case], theirs: Server, ours: Server, *, always: bool = False
    ) -> None:
        """Ask both servers; print each row as it is known."""
        for case in cases:
            if not (always or fnmatchcase(case.name, self.only)):
                continue
            call = case.call()
            truth = None if case.twin is None else theirs.answer(case.twin())
            answers = theirs.answer(call), ours.answer(call)
            found = compare(case, *answers, truth)
            self.rows.append(judge(case.name, *answers, found, EXPECTED))
            print(self.rows[-1].line(), flush=True)


def main() -> int:
    """Compare and print; 1 where something is not as the table says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer-python", type=Path, required=True)
    parser.add_argument("--json", type=Path, help="where to write the rows too")
    parser.add_argument("--only", default="*", help="names of cases, with * for anything")
    options = parser.parse_args()
    run = Run(options.only)
    print(HEADING, flush=True)
    with tempfile.TemporaryDirectory(prefix="api-parity-") as folder:
        _run_all(run, options.peer_python.absolute(), Path(folder))
    print(f"\n{summary(run.rows)}")
    if options.json:
        write_json(options.json, run.rows)
    return int(any(row.unexpected or row.missing for row in run.rows))


def _run_all(run: Run, python: Path, folder: Path) -> None:
    checkpoints = folder / "torch/hub/checkpoints"
    checkpoints.mkdir(parents=True)
    weights = write_lama_torchscript(checkpoints / "big-lama.pt", ngf=8, blocks=3)
    env = {"LAMA_MODEL_MD5": md5_of(weights), "XDG_CACHE_HOME": str(folder)}
    with _servers(python, folder, env) as (theirs, ours):
        run.ask(chain(tool_cases(), refused_cases(), picture_cases("cv2", 0)), theirs, ours)
        run.ask(switch_cases("lama"), theirs, ours, always=True)
        run.ask(picture_cases("lama", NETWORK_LEVELS), theirs, ours)
        run.ask(last_cases(), theirs, ours)
    if any(fnmatchcase(case.name, run.only) for case in file_cases()):
        with _servers(python, folder, env, has_files=True) as (theirs, ours):
            run.ask(file_cases(), theirs, ours)


@contextmanager
def _servers(
    python: Path, folder: Path, env: dict[str, str], *, has_files: bool = False
) -> Iterator[tuple[Server, Server]]:
    """IOPaint and ours, both with cv2; with a picture to open and a folder each, if asked for."""
    document: dict[str, Any] = yaml.safe_load(default_serve_config().read_text())
    args = document["applications"][0]["args"]
    args["default_models"] = ["cv2"]
    options: list[str] = []
    folders: list[Path | None] = [None, None]
    if has_files:
        opened = folder / "opened.png"
        opened.write_bytes(saved(photo(), "PNG"))
        folders = [folder / "theirs", folder / "ours"]
        outputs = [folder / "theirs/out", folder / "ours/out"]
        for output in outputs:
            output.mkdir(parents=True)
        options = [f"--input={opened}", f"--output-dir={outputs[0]}"]
        args["iopaint"] = {"input": str(opened), "output_dir": str(outputs[1])}
    with (
        serve_run(document, "/readyz", env) as ours,
        peer(python, "cv2", folder, env, *options) as url,
    ):
        yield Server(url, folders[0]), Server(ours.url, folders[1])


if __name__ == "__main__":
    sys.exit(main())
