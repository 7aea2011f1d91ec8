"""Every overlay as kustomize composes it, without a cluster."""

import shutil
import subprocess

import pytest
import yaml

from k8s.generate import overlays
from tests.k8s.composed import Composed


def kustomize():
    """The command that composes a folder; None where neither program is installed."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    return ["kubectl", "kustomize"] if shutil.which("kubectl") else None


@pytest.fixture(scope="session", params=overlays(), ids=lambda folder: folder.name)
def composed(request):
    """One overlay: its folder and its manifests."""
    command = kustomize()
    if command is None:
        pytest.skip("neither kustomize nor kubectl is installed, so overlays cannot be composed")
    built = subprocess.run([*command, request.param], capture_output=True, text=True, timeout=60)
    assert built.returncode == 0, built.stderr
    return Composed(request.param, list(yaml.load_all(built.stdout, yaml.CSafeLoader)))
