"""The wheel works where no checkout is: configs ship inside it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest
import yaml

from benchmarks.servers import serve_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """What `pip install` of the wheel puts into site-packages."""
    built, target = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(target)
    return target


def test_an_installed_wheel_serves_from_an_empty_folder(unpacked, tmp_path):
    command = [sys.executable, "-c", "from serve_app.cli import app; app()"]
    done = subprocess.run(
        [*command, "start", "--model=cv2", "--dump-config"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(unpacked), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    with serve_run(yaml.safe_load(done.stdout), "/readyz", {"PYTHONPATH": str(unpacked)}) as server:
        names = {card["name"] for card in httpx.get(f"{server.url}/models").json()["models"]}
        page = httpx.get(f"{server.url}/")
    assert names >= {"cv2", "lama"}
    assert page.text == (ROOT / "serve_app/web/index.html").read_text()


def test_the_wheel_brings_all_files_of_the_page(unpacked):
    here, there = (folder / "serve_app/web" for folder in (ROOT, unpacked))
    files = {path.relative_to(here) for path in here.rglob("*") if path.is_file()}
    assert {path.relative_to(there) for path in there.rglob("*") if path.is_file()} == files


def test_the_wheel_holds_nothing_but_the_packages(unpacked):
    assert {path.name.split("-")[0] for path in unpacked.iterdir()} == {
        "deployments", "inpaint", "inpaint_client", "serve_app", "inpaint_serve",
    }  # fmt: skip


def test_the_client_of_an_installed_wheel_brings_its_types_and_needs_httpx_alone(
    unpacked, tmp_path
):
    assert (unpacked / "inpaint_client/py.typed").exists()
    code = "import sys, inpaint_client; print(inpaint_client.__file__, *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(unpacked)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    file, *loaded = done.stdout.split()
    assert file.startswith(str(unpacked))
    assert {"ray", "numpy", "pydantic", "serve_app", "inpaint"}.isdisjoint(loaded)
