"""AnyText's prompts: what stands in quotes is to be written, the rest says how it should look."""

import re
from dataclasses import dataclass

from inpaint.errors import ParamsError

PLACEHOLDER = "*"
"""What the network knows a line by. One token of CLIP's vocabulary."""
MOST_LINES = 8
MOST_CHARACTERS = 20
"""Of one line. Both as in the network's training (Tuo et al. 2023, arXiv 2311.03054)."""

_QUOTED = re.compile(r'"(.*?)"')
_CURLY_QUOTES = str.maketrans("“”", '""')


@dataclass(frozen=True, slots=True)
class Caption:
    """A prompt, taken apart."""

    text: str
    """With a PLACEHOLDER where each line stood."""
    lines: tuple[str, ...]
    """1 to 8, in the prompt's order."""


def read_caption(prompt: str) -> Caption:
    """Take the quoted lines out of a prompt.

    Args:
        prompt: with each line in "straight" or “curly” quotes.

    Raises:
        ParamsError: it quotes nothing, or more than the network can write.
    """
    prompt = prompt.translate(_CURLY_QUOTES)
    if prompt.count('"') % 2:
        raise ParamsError("prompt: a quote is opened and not closed; each line needs both quotes.")
    lines = tuple(_QUOTED.findall(prompt))
    text = _QUOTED.sub(f" {PLACEHOLDER} ", prompt)
    if not lines:
        raise ParamsError(
            'prompt: it quotes nothing to write; put each line in quotes: a sign that says "Open".'
        )
    if len(lines) > MOST_LINES:
        raise ParamsError(f"prompt: it quotes {len(lines)} lines; at most {MOST_LINES} are taken.")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise ParamsError(f"prompt: line {number} is empty; there is nothing to write.")
        if len(line) > MOST_CHARACTERS:
            raise ParamsError(
                f"prompt: line {number} has {len(line)} characters; "
                f"at most {MOST_CHARACTERS} are taken."
            )
    check_outside("prompt", _QUOTED.sub(" ", prompt))
    return Caption(text, lines)


def check_outside(field: str, text: str) -> None:
    """Refuse the placeholder where it is no line: the network would write one there.

    Args:
        field: the parameter, for the message.
        text: what is not to be written.
    """
    if PLACEHOLDER in text:
        raise ParamsError(
            f"{field}: '{PLACEHOLDER}' outside quotes is the network's own mark for a line; "
            "leave it out."
        )
