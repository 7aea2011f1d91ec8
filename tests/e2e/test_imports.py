"""What comes along when a package is imported: the edge starts without any model library."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "diffusers", "paddleocr"}
MODULES = {
    package: [
        str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
        for path in sorted((ROOT / package).rglob("*.py"))
    ]
    for package in ("inpaint", "serve_app")
}
SERVE_CLASSES = ["deployments.serving", "deployments.registry", "deployments.weights"]


def loaded_by(modules):
    code = f"import {', '.join(modules)}, sys; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return {name.split(".")[0] for name in done.stdout.split()}


def test_the_domain_needs_neither_ray_nor_http_nor_torch():
    assert loaded_by(MODULES["inpaint"]).isdisjoint(HEAVY | {"ray", "fastapi", "starlette"})


def test_the_edge_and_the_serve_classes_need_no_model_library():
    assert loaded_by(MODULES["serve_app"] + SERVE_CLASSES).isdisjoint(HEAVY)
