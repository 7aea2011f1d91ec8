"""What was sent and what came back, as one line of a table for each surface."""

import os
from collections import Counter
from pathlib import Path

from tests.fuzz.target import Answer, State

TABLE = "FUZZ_TABLE"
"""Environment variable: the Markdown file that gets the lines."""

HEAD = """\
| inputs | sent | 2xx, 3xx | 4xx | 503, 504 | other 5xx | client had left | longest answer, ms | \
most CPU, ms | resident before, MiB | after, MiB |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


class Tally:
    """Counts of one surface, or of all."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.statuses: Counter[int] = Counter()
        self.longest_s = self.most_cpu_s = 0.0

    def add(self, answer: Answer) -> None:
        """Count one."""
        self.statuses[answer.status] += 1
        self.longest_s = max(self.longest_s, answer.took_s)
        self.most_cpu_s = max(self.most_cpu_s, answer.cpu_s)

    def __iadd__(self, other: "Tally") -> "Tally":
        self.statuses += other.statuses
        self.longest_s = max(self.longest_s, other.longest_s)
        self.most_cpu_s = max(self.most_cpu_s, other.most_cpu_s)
        return self

    @property
    def sent(self) -> int:
        """How many."""
        return self.statuses.total()

    @property
    def good(self) -> int:
        """How many were answered as if nothing were wrong with them."""
        return self._count(lambda status: 200 <= status < 400)

    @property
    def bad(self) -> int:
        """How many were refused, or their clients left."""
        return self.sent - self.good

    def line(self, before: State, after: State) -> str:
        """Of the table."""
        intended = self._count(lambda status: status in (503, 504))
        counts = (
            self.sent,
            self.good,
            self._count(lambda status: 400 <= status < 500),
            intended,
            self._count(lambda status: status >= 500) - intended,
            self.statuses[0],
            *(f"{1e3 * seconds:.0f}" for seconds in (self.longest_s, self.most_cpu_s)),
            *(f"{state.resident_bytes / 2**20:.0f}" for state in (before, after)),
        )
        return f"| {self.name} | " + " | ".join(map(str, counts)) + " |\n"

    def _count(self, fits) -> int:
        return sum(count for status, count in self.statuses.items() if fits(status))


class Table:
    """Printed, and written to the file that FUZZ_TABLE names."""

    def __init__(self) -> None:
        self._path = Path(os.environ[TABLE]) if TABLE in os.environ else None
        self._write(HEAD, "w")

    def add(self, line: str) -> None:
        """One more line."""
        print(line, end="")  # noqa: T201
        self._write(line, "a")

    def _write(self, text: str, mode: str) -> None:
        if self._path is not None:
            with self._path.open(mode) as file:
                file.write(text)
