"""What a route reads off a request beside its body: id, time budget, wanted answer."""

import re

from starlette.requests import Request

from inpaint.codecs import Format
from inpaint.deadlines import Deadline
from inpaint.errors import NotAcceptableError, ParamsError
from inpaint.settings import IngressConfig

TIMEOUT_HEADER = "X-Timeout-Seconds"
JSON = "application/json"


def deadline_of(request: Request, config: IngressConfig) -> Deadline:
    """From the X-Timeout-Seconds header, capped by the server's limit.

    Raises:
        ParamsError: the header is no positive number.
    """
    word = request.headers.get(TIMEOUT_HEADER)
    if word is None:
        return Deadline.after(config.default_timeout_s)
    if not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", word) or float(word) == 0:
        raise ParamsError(f"The header {TIMEOUT_HEADER} must be a positive number of seconds.")
    return Deadline.after(min(float(word), config.max_timeout_s))


def wanted_answer(request: Request, *others: str) -> Format | str | None:
    """What the Accept header asks for first: "application/json", a format, or None for any.

    Args:
        request: has the header, or not.
        others: media types that the route answers as well.

    Raises:
        NotAcceptableError: it names nothing of this, and no picture format that is written here.
    """
    accepted = request.headers.get("accept") or "*/*"
    for media_type in _by_quality(accepted):
        if media_type in ("*/*", "image/*"):
            return None
        if media_type in (JSON, "application/*"):
            return JSON
        if media_type in others:
            return media_type
        for format_ in Format:
            if format_.media_type == media_type:
                return format_
    formats = ", ".join(format_.media_type for format_ in Format)
    answers = ", ".join((JSON, *others))
    raise NotAcceptableError(f"This route answers {answers} or one of {formats}.")


def _by_quality(accept: str) -> list[str]:
    """Media types of an Accept header, most wanted first; those with q=0 are left out."""
    ranked: list[tuple[float, str]] = []
    for entry in accept.split(","):
        media_type, *options = (part.strip().lower() for part in entry.split(";"))
        quality = next((option[2:] for option in options if option.startswith("q=")), "1")
        weight = float(quality) if re.fullmatch(r"\d(\.\d{1,3})?", quality) else 0.0
        if weight > 0:
            ranked.append((weight, media_type))
    ranked.sort(key=lambda pair: -pair[0])
    return [media_type for _, media_type in ranked]
