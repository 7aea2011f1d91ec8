"""Runner strings: from "module:Class" to a class, and what is said when there is none."""

import sys

import pytest

from deployments.runners import allow_folders, load_runner
from inpaint.errors import ExtraMissingError, ModelError
from tests.fakes import Inverting, fake_spec


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's folder on the import path; what is imported from it is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    allow_folders([tmp_path])
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_runner_is_the_class_of_its_module():
    assert load_runner(fake_spec()) is Inverting


def test_runner_may_lie_in_a_users_folder(folder):
    (folder / "my_own_model.py").write_text("class Mine: pass\n")
    assert load_runner(fake_spec(runner="my_own_model:Mine")).__name__ == "Mine"


def test_folders_come_after_installed_packages_and_once(folder):
    (folder / "json.py").write_text("raise RuntimeError\n")
    allow_folders([folder, folder])
    assert sys.path.count(str(folder)) == 1
    assert sys.path[-1] == str(folder)


@pytest.mark.parametrize(
    "runner", ["tests.fakes:Nobody", "tests.no_such_module:Toy", "no_such_package.deep.er:Toy"]
)
def test_runner_that_does_not_exist_is_an_error(runner):
    with pytest.raises(ModelError, match="'toy' names a runner that does not exist"):
        load_runner(fake_spec(runner=runner))


@pytest.mark.parametrize("module", ["wants_it", "missing_thing_and_more"])
def test_runner_that_needs_a_missing_package_names_it(folder, module):
    (folder / f"{module}.py").write_text("from missing_thing.deep import Base\n")
    with pytest.raises(ExtraMissingError, match="needs the Python package 'missing_thing'"):
        load_runner(fake_spec(runner=f"{module}:Toy"))


def test_error_of_a_users_code_is_not_hidden(folder):
    (folder / "broken_model.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        load_runner(fake_spec(runner="broken_model:Toy"))
