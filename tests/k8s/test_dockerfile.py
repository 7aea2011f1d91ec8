"""The image's recipe, without building it."""

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from k8s.generate import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_linter_has_nothing_to_say():
    linter = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run(
        [linter, "--failure-threshold=style", ROOT / "Dockerfile"], capture_output=True, text=True
    )
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_linter_finds_a_mistake(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nRUN cd /src && pip install ray\n")
    linter = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run([linter, tmp_path / "Dockerfile"], capture_output=True, text=True)
    assert linted.returncode == 1
    assert "DL3007" in linted.stdout


def test_base_images_are_pinned_to_a_patch_version():
    images = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", DOCKERFILE, re.M)
    assert images
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-\w+", image) for image in images)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) == {"${PYTHON_IMAGE}"}


def test_the_user_is_the_one_that_pods_run_as():
    [user] = re.findall(r"^USER (.*)$", DOCKERFILE, re.M)
    manifest = (ROOT / "k8s" / "base" / "rayservice.yaml").read_text()
    run_as = re.search(r"runAsUser: (\d+)\s+runAsGroup: (\d+)", manifest)
    assert run_as is not None
    assert user == f"{run_as[1]}:{run_as[2]}"
    assert f"useradd --uid {run_as[1]} " in DOCKERFILE


def test_kuberays_probe_finds_its_programs():
    [installed] = re.findall(r"apt-get install -y --no-install-recommends (.*) \\", DOCKERFILE)
    assert {"bash", "wget"} <= set(installed.split())
    assert "/etc/profile.d/" in DOCKERFILE


def test_each_variant_installs_extras_that_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    variants = dict(re.findall(r"^ +(\w+)\) extras=([\w,]+) ;;", DOCKERFILE, re.M))
    assert variants.keys() == {"cpu", "cuda"}
    for extras in variants.values():
        assert set(extras.split(",")) <= project["optional-dependencies"].keys()
        assert {"diffusion", "ocr"} <= set(extras.split(","))


def test_what_is_copied_exists_and_is_not_kept_out():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.M)
        for source in line.split()[:-1]
    }
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)


def test_what_the_wheel_is_made_of_is_copied():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], project["project"]["readme"]}
    needed |= set(project["project"]["license-files"])
    assert all(any(fnmatch(source, one) for one in copied_names()) for source in needed)


def copied_names():
    return re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.M)[0].split() + re.findall(
        r"^COPY (\w+) \w+$", DOCKERFILE, re.M
    )


def test_commands_of_the_image_exist():
    from typer.main import get_command

    from serve_app.cli import app

    [command] = re.findall(r'^CMD \["inpaint-serve", "(\w+)", (.*)\]$', DOCKERFILE, re.M)
    start = get_command(app).commands[command[0]]
    known = {name for parameter in start.params for name in parameter.opts}
    flags = {flag.split("=")[0] for flag in re.findall(r'"(--[^"]+)"', command[1])}
    assert flags <= known
