"""`key`: what it prints lets the key in, and nothing of it says the key."""

import re

import pytest
import yaml
from typer.testing import CliRunner

from serve_app.access.keys import Keyring
from serve_app.cli import app


def test_the_entry_lets_the_key_in(tmp_path):
    result = CliRunner().invoke(app, ["key", "studio", "--concurrent=2"])
    assert result.exit_code == 0
    [key] = re.findall(r"isk_\S+", result.stderr)
    assert key not in result.stdout
    path = tmp_path / "keys.yaml"
    path.write_text(f"keys:\n{result.stdout}")
    found = Keyring(path).find(key)
    assert (found.name, found.concurrent, found.requests_per_minute) == ("studio", 2, None)
    assert yaml.safe_load(path.read_text())["keys"][0]["name"] == "studio"


@pytest.mark.parametrize(
    ("args", "said"), [(["two words"], "name"), (["studio", "--concurrent=0"], "concurrent")]
)
def test_what_the_file_would_refuse_is_refused_here(args, said):
    result = CliRunner().invoke(app, ["key", *args])
    assert (result.exit_code != 0, "isk_" in result.output) == (True, False)
    assert said in result.stderr
