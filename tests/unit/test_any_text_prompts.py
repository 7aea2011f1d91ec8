"""What AnyText takes for lines, and what it refuses."""

import pytest

from deployments.models.any_text_prompts import Caption, check_outside, read_caption
from inpaint.errors import ParamsError


@pytest.mark.parametrize(
    ("prompt", "text", "lines"),
    [
        ('a sign that says "Open"', "a sign that says  * ", ("Open",)),
        ("“你好” above “world”", " *  above  * ", ("你好", "world")),
        ('"b" and "a" and "b"', " *  and  *  and  * ", ("b", "a", "b")),
        ('"5 * 3"', " * ", ("5 * 3",)),
        ('"' + "x" * 20 + '"', " * ", ("x" * 20,)),
    ],
)
def test_each_quoted_line_leaves_a_placeholder(prompt, text, lines):
    assert read_caption(prompt) == Caption(text, lines)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "quotes nothing to write"),
        ("a cat", "quotes nothing to write"),
        ('a "cat', "not closed"),
        ('"a" and "b', "not closed"),
        ('"a" and ""', "line 2 is empty"),
        ('"  "', "line 1 is empty"),
        ('"ok" "' + "x" * 21 + '"', "line 2 has 21 characters; at most 20"),
        (" ".join(f'"{n}"' for n in range(9)), "quotes 9 lines; at most 8"),
        ('a * and "b"', r"prompt: '\*' outside quotes"),
    ],
)
def test_what_cannot_be_written_is_refused(prompt, message):
    with pytest.raises(ParamsError, match=message):
        read_caption(prompt)


def test_eight_lines_are_taken():
    assert len(read_caption(" ".join(f'"{n}"' for n in range(8))).lines) == 8


def test_placeholder_in_another_text_is_refused_by_its_name():
    with pytest.raises(ParamsError, match=r"^negative_prompt: "):
        check_outside("negative_prompt", "a 5*3 grid")
    check_outside("negative_prompt", 'low "quality"')
