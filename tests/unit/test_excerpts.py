"""Errors quote what a client sent, but not all of it."""

import pytest

from inpaint.deadlines import Deadline
from inpaint.errors import ParamsError
from serve_app.bodies import Body
from serve_app.excerpts import LONGEST, MOST, excerpt, first_of
from serve_app.orders import Found, read_options, read_order
from tests.fakes import fake_spec

SHORT = 2_000
"""More than any error here needs."""


def test_few_short_words_are_quoted_whole():
    assert first_of(["a", "b"]) == "a, b"
    assert first_of(["a"], "; ") == "a"
    assert excerpt("x" * LONGEST) == "x" * LONGEST


def test_many_and_long_words_are_cut_and_counted():
    words = [str(number) for number in range(MOST + 5)]
    assert first_of(words, "; ") == "; ".join([*words[:MOST], "and 5 more"])
    assert excerpt("x" * 1000) == "x" * LONGEST + "..."


@pytest.mark.parametrize("names", [["x" * 100_000], [f"field{n}" for n in range(20_000)]])
def test_unknown_fields_are_named_in_a_short_error(names):
    fields = dict.fromkeys(names, "1")
    find = lambda name: Found(fake_spec())  # noqa: E731
    with pytest.raises(ParamsError, match=names[0][:LONGEST]) as unread:
        read_order(Body(fields=dict(fields)), find, Deadline.after(9))
    with pytest.raises(ParamsError, match=names[0][:LONGEST]) as extra:
        read_options(fields)
    for error in (unread.value, extra.value):
        assert len(error.detail) < SHORT
        assert len(str(error.context["param"])) < SHORT
