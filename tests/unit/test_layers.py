"""The rules of docs/architecture.md about who imports whom and what may block."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"inpaint", "inpaint_client", "serve_app", "deployments"}
CLIENT, COMMANDS = "inpaint_client", "serve_app/cli/"
DEPLOYMENTS_IN_APP = ("serve_app/app.py", COMMANDS)
"""Besides the wiring and the command line, nothing of serve_app knows what runs on replicas."""


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_arrows_between_packages():
    found = {
        (str(path.relative_to(ROOT)), name.split(".")[0])
        for package in ("inpaint", "inpaint_client", "serve_app", "deployments", "examples")
        for path in (ROOT / package).rglob("*.py")
        for name in imports(path)
    }
    wrong = {
        (file, target)
        for file, target in found
        if (file.startswith("inpaint/") and target in OURS - {"inpaint"})
        or (file.startswith(("inpaint_client/", "examples/")) and target in OURS - {CLIENT})
        or (target == CLIENT and not file.startswith((f"{CLIENT}/", "examples/", COMMANDS)))
        or (file.startswith("deployments/") and target == "serve_app")
        or (
            file.startswith("serve_app/")
            and target == "deployments"
            and not file.startswith(DEPLOYMENTS_IN_APP)
        )
    }
    assert not wrong
    assert len(found) > 100  # the walk has not gone blind


def test_the_command_line_knows_of_the_replicas_only_the_weights_store():
    known = {
        name
        for path in (ROOT / "serve_app" / "cli").rglob("*.py")
        for name in imports(path)
        if name.split(".")[0] == "deployments"
    }
    assert known == {"deployments.weights"}


BLOCKING = {"open", "sleep", "read_text", "read_bytes", "imdecode", "imencode", "decode_jpeg",
            "encode_jpeg", "inpaint_image", "b64decode", "a2b_base64", "findContours"}  # fmt: skip


def calls_of_async_functions():
    for path in (ROOT / "serve_app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AsyncFunctionDef):
                for call in ast.walk(node):
                    if isinstance(call, ast.Call):
                        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
                        is_awaited_sleep = ast.unparse(call.func) == "asyncio.sleep"
                        yield path.name, node.name, "" if is_awaited_sleep else name


def test_async_functions_of_the_edge_touch_neither_pixels_nor_files():
    calls = list(calls_of_async_functions())
    assert not [call for call in calls if call[2] in BLOCKING]
    assert len(calls) > 40


@pytest.mark.parametrize(
    "package", ["inpaint", "inpaint_client", "serve_app", "deployments", "benchmarks", "examples"]
)
def test_files_stay_short(package):
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in (ROOT / package).rglob("*.py")
    }
    assert not {file: length for file, length in lengths.items() if length > 400}
