"""The tree of errors: what crosses a process, and what its module says of it."""

import copy
import pickle
import re

import pytest

from inpaint import errors
from inpaint.errors import InpaintError, OverloadedError, ReplicaLostError, UnknownModelError

TREE_LINE = re.compile(r"^( *)[*x+] (\w+) +(\d{3}) ([a-z-]+)", re.MULTILINE)


def subclasses(cls):
    return [cls, *(deeper for sub in cls.__subclasses__() for deeper in subclasses(sub))]


ALL = [cls for cls in subclasses(InpaintError) if cls.__module__ == errors.__name__]


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
@pytest.mark.parametrize("context", [None, {"model": "lama", "retry_after_s": 7.5}])
def test_error_survives_pickling(cls, again, context):
    error = cls("The mask is too small.", context)
    there = again(error)
    assert type(there) is cls
    assert there.detail == str(there) == "The mask is too small."
    assert there.context == (context or {})
    assert there.retry_after_s == error.retry_after_s
    assert (there.status, there.code) == (cls.status, cls.code)


def test_error_codes_are_unique():
    codes = [cls.code for cls in ALL]
    assert len(set(codes)) == len(codes)


def test_error_tree_in_the_docstring_is_the_tree():
    said = {name: (int(status), code) for _, name, status, code in tree()}
    assert said == {cls.__name__: (cls.status, cls.code) for cls in ALL}


def test_error_tree_in_the_docstring_nests_as_the_classes():
    path = []
    for indent, name, _, _ in tree():
        depth = len(indent) // 2
        path = [*path[:depth], getattr(errors, name)]
        assert path[-1].__bases__ == ((path[-2],) if depth else (Exception,))


def tree():
    return TREE_LINE.findall(errors.__doc__)


def test_error_is_caught_by_its_branch():
    assert issubclass(UnknownModelError, errors.RequestError)
    assert issubclass(ReplicaLostError, errors.UnavailableError)


@pytest.mark.parametrize("cls", ALL)
def test_error_names_a_retry_only_where_it_can_help(cls):
    assert cls.retry_after_s is None or cls.status in (429, 502, 503)


def test_error_context_overrides_the_retry_time_of_one_error_only():
    assert OverloadedError("full", {"retry_after_s": 9}).retry_after_s == 9.0
    assert OverloadedError("full").retry_after_s == OverloadedError.retry_after_s == 1.0
