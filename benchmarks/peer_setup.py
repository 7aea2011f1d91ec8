"""Installs IOPaint 1.6.0 from PyPI into an environment of its own, for the comparisons.

    python -m benchmarks.peer_setup ~/.cache/iopaint-peer

It takes two minutes and 2 GB; the environment's interpreter is what --peer-python wants. Every
version is pinned and nothing is resolved: a plain `pip install iopaint` takes a CUDA build of
torch.
"""

import argparse
import re
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("peer_requirements.txt")

_REGISTRATION = r'^@torch\.library\.register_fake\("torchvision::(nms|qnms)"\)$'
_GUARDED = (
    r'@(torch.library.register_fake("torchvision::\1")'
    " if torchvision.extension._has_ops() else (lambda f: f))"
)


def install(folder: Path) -> Path:
    """Make the environment, unless it is there; its interpreter."""
    python = folder / "venv/bin/python"
    done = folder / "venv/.done"
    if not done.exists():
        venv.create(folder / "venv", with_pip=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        subprocess.run([*pip, "setuptools", "wheel"], check=True)
        subprocess.run([*pip, "--no-deps", "-r", str(REQUIREMENTS)], check=True)
        let_torchvision_import(folder / "venv")
        subprocess.run([str(python), "-c", "import iopaint, diffusers"], check=True)
        done.touch()
    return python


def let_torchvision_import(environment: Path) -> None:
    """PyPI's torchvision has no operators for a CPU build of torch, and stumbles over that.

    IOPaint imports it for plugins that no comparison uses.
    """
    (path,) = environment.glob("lib/python*/site-packages/torchvision/_meta_registrations.py")
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(_REGISTRATION, _GUARDED, text, flags=re.MULTILINE), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    print(install(parser.parse_args(sys.argv[1:]).folder.expanduser().absolute()))
