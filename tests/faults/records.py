"""What became of the requests during each fault, as one line of a table."""

import os
from pathlib import Path

from benchmarks.load import summarise

TABLE = "FAULTS_TABLE"
"""Environment variable: the Markdown file that gets the lines."""

HEAD = """\
| fault | requests | answered | lost | longest wait, s | median, s | load average |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""


class Table:
    """Begun anew by the first line of a session; without a file, lines are only printed."""

    def __init__(self):
        self._path = Path(os.environ[TABLE]) if TABLE in os.environ else None
        self._is_begun = False

    def add(self, fault, outcomes):
        """Write a fault's line, and give the summary of its requests."""
        summary = summarise(outcomes)
        longest = max((one.took_s for one in outcomes), default=0.0)
        line = (
            f"| {fault} | {summary.requests} | {summary.good} | {summary.lost} "
            f"| {longest:.1f} | {summary.p50_s:.2f} | {os.getloadavg()[0]:.1f} |\n"
        )
        print(line, end="")  # noqa: T201
        if self._path is not None:
            if not self._is_begun:
                self._path.write_text(HEAD)
            with self._path.open("a") as file:
                file.write(line)
        self._is_begun = True
        return summary


def unanswered(outcomes):
    """What the lost requests were told, each thing once: for a failed test's message."""
    return sorted({(one.kind, one.status, one.detail) for one in outcomes if not one.is_good})
