"""The Retry-After header (RFC 9110, 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def seconds_of(header: str | None) -> float | None:
    """How long to wait: from seconds, or until a date. None where there is nothing of this."""
    if header is None:
        return None
    word = header.strip()
    if word.isascii() and word.isdigit():
        return float(word)
    try:
        until = parsedate_to_datetime(word)
    except ValueError:
        return None
    if until.tzinfo is None:  # "-0000": UTC, from who knows where
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
