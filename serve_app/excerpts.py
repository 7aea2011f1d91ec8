"""What errors quote of a request: a client's own words, of which there may be megabytes."""

from collections.abc import Sequence

MOST, LONGEST = 10, 80


def excerpt(word: str) -> str:
    """The word, or its first characters."""
    return word if len(word) <= LONGEST else f"{word[:LONGEST]}..."


def first_of(words: Sequence[str], separator: str = ", ") -> str:
    """The first words in one line, and how many more there are."""
    more = [f"and {len(words) - MOST} more"] if len(words) > MOST else []
    return separator.join((*words[:MOST], *more))
