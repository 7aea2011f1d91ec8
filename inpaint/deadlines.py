"""How long a request may still take."""

import time
from dataclasses import dataclass
from typing import Self

from inpaint.errors import DeadlineError


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of `time.monotonic()`, with the budget it came from, in seconds."""

    at: float
    budget_s: float

    @classmethod
    def after(cls, budget_s: float) -> Self:
        """The moment `budget_s` seconds from now."""
        return cls(time.monotonic() + budget_s, budget_s)

    @property
    def left_s(self) -> float:
        """Seconds that are left; negative when it has passed."""
        return self.at - time.monotonic()

    def error(self) -> DeadlineError:
        """What to raise when it has passed."""
        return DeadlineError(
            f"The request took longer than its {self.budget_s:g} s. Ask for less, or for more "
            "time with the header X-Timeout-Seconds, within the server's limit."
        )

    def check(self) -> None:
        """Raise DeadlineError when it has passed."""
        if self.left_s <= 0:
            raise self.error()
