"""Options that are true or false, as IOPaint's guide and everybody else write them."""

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from serve_app.cli.switches import Switch, SwitchCommand, switch

app = typer.Typer()
seen: dict[str, object] = {}


@app.command(cls=SwitchCommand)
def command(
    no_half: Annotated[Switch | None, switch("Full precision.")] = None,
    low_mem: Annotated[Switch | None, switch("Slices.")] = None,
    port: Annotated[int | None, typer.Option()] = None,
    word: Annotated[str | None, typer.Argument()] = None,
):
    switches = {"no_half": no_half, "low_mem": low_mem}
    given = {name: bool(value) for name, value in switches.items() if value is not None}
    seen.update(given, port=port, word=word)


def run(*arguments):
    seen.clear()
    result = CliRunner().invoke(app, list(arguments))
    said = {name: value for name, value in seen.items() if value is not None}
    return result.exit_code, said, result.output


@pytest.mark.parametrize("word", ["", "=true", "=True", "=TRUE", "=1", "=yes", "=on"])
def test_true_in_every_spelling(word):
    assert run(f"--no-half{word}")[:2] == (0, {"no_half": True})


@pytest.mark.parametrize("word", ["false", "False", "0", "no", "off"])
def test_false_in_every_spelling(word):
    assert run(f"--no-half={word}")[:2] == (0, {"no_half": False})


def test_a_switch_that_is_not_given_says_nothing():
    assert run()[:2] == (0, {})


def test_a_bare_switch_does_not_eat_what_follows():
    assert run("--no-half", "--port", "81")[:2] == (0, {"no_half": True, "port": 81})
    assert run("--no-half", "--low-mem")[:2] == (0, {"no_half": True, "low_mem": True})
    assert run("--low-mem", "--no-half=false", "--port=7")[1] == {
        "low_mem": True, "no_half": False, "port": 7,
    }  # fmt: skip
    assert run("--no-half", "cat")[1] == {"no_half": True, "word": "cat"}


def test_the_last_one_wins():
    assert run("--no-half", "--no-half=false")[1] == {"no_half": False}


def test_a_value_after_a_blank_is_refused_with_the_right_spelling():
    status, _, output = run("--no-half", "false")
    assert status == 2
    assert "--no-half=false" in output


def test_another_value_is_refused():
    status, _, output = run("--no-half=maybe")
    assert status == 2
    assert "maybe" in output
    assert "--no-half" in output


def test_words_after_two_dashes_are_no_switches():
    assert run("--", "--no-half")[1] == {"word": "--no-half"}


def test_help_shows_both_forms():
    _, _, output = run("--help")
    assert "[=true|false]" in output
