"""Every shipped config, and the checker that looks at them."""

import copy
from pathlib import Path

import pytest
import yaml

from inpaint.catalog import Catalog
from inpaint.resources import configs_dir, default_serve_config
from inpaint.settings import AppArgs
from inpaint.specs import Kind
from serve_app.config_check import check, check_file
from serve_app.routing import assign

SERVE_CONFIGS = [default_serve_config(), *sorted((configs_dir() / "app").glob("*.yaml"))]
CATALOG = Catalog.from_dirs([configs_dir() / "models"])
FAMILY_KINDS = {"Erase": "erase", "SD15": "diffusion", "SDXL": "diffusion",
                "Special": "diffusion", "OCR": "ocr"}  # fmt: skip


@pytest.mark.parametrize("path", SERVE_CONFIGS, ids=lambda path: path.name)
def test_shipped_serve_config_passes_the_strict_checker(path):
    assert check_file(path) == []


@pytest.mark.parametrize("path", SERVE_CONFIGS, ids=lambda path: path.name)
def test_shipped_serve_config_builds(path):
    for application in yaml.safe_load(path.read_text())["applications"]:
        args = AppArgs.model_validate(application["args"])
        assert assign(CATALOG, args.families)


@pytest.mark.parametrize("path", SERVE_CONFIGS, ids=lambda path: path.name)
def test_families_are_switched_on_as_soon_as_their_kind_exists(path):
    text = path.read_text()
    listed = {
        family["deployment"]
        for application in yaml.safe_load(text)["applications"]
        for family in application["args"]["families"]
    }
    kinds = {str(kind) for kind in Kind}
    for family, kind in FAMILY_KINDS.items():
        assert family in text, f"{path.name} has no place for {family}"
        assert (family in listed) == (kind in kinds), family


def test_default_config_fits_a_machine_with_two_cores():
    document = yaml.safe_load(default_serve_config().read_text())
    shares = [
        entry.get("ray_actor_options", {}).get("num_cpus", 1)
        * entry.get("autoscaling_config", {}).get("min_replicas", 1)
        for entry in document["applications"][0]["deployments"]
    ]
    assert sum(shares) < 2


@pytest.fixture
def document():
    return yaml.safe_load(default_serve_config().read_text())


def deployment(document, name):
    return next(
        entry for entry in document["applications"][0]["deployments"] if entry["name"] == name
    )


MISTAKES = {
    "unknown top level key": lambda d: d.update(aplications=[]),
    "unknown http option": lambda d: d["http_options"].update(prot=1),
    "typo in a deployment": lambda d: deployment(d, "Erase").update(max_ongoing_request=3),
    "typo in actor options": lambda d: deployment(d, "Erase")["ray_actor_options"].update(gpus=1),
    "min above max": lambda d: deployment(d, "Erase")["autoscaling_config"].update(min_replicas=9),
    "typo in autoscaling": lambda d: deployment(d, "Erase")["autoscaling_config"].update(max=9),
    "target above ongoing": lambda d: deployment(d, "Erase").update(max_ongoing_requests=1),
    "unbounded queue": lambda d: deployment(d, "Erase").pop("max_queued_requests"),
    "typo in user_config": lambda d: deployment(d, "Erase")["user_config"].update(thread=1),
    "ingress at zero": lambda d: deployment(d, "Ingress")["autoscaling_config"].update(
        min_replicas=0
    ),
    "family without entry": lambda d: d["applications"][0]["deployments"].pop(),
    "entry without family": lambda d: d["applications"][0]["args"]["families"].pop(),
    "unknown argument": lambda d: d["applications"][0]["args"].update(modeldir="/m"),
    "unknown kind": lambda d: d["applications"][0]["args"]["families"][0].update(kind="erace"),
    "no timeout": lambda d: d["http_options"].pop("request_timeout_s"),
    "timeout below ours": lambda d: d["http_options"].update(request_timeout_s=100),
    "default above longest": lambda d: deployment(d, "Ingress")["user_config"].update(
        default_timeout_s=290
    ),
    "short shutdown": lambda d: deployment(d, "Erase").update(graceful_shutdown_timeout_s=20),
}


def test_checker_accepts_the_default(document):
    assert check(document) == []


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_checker_finds(document, mistake):
    wrong = copy.deepcopy(document)
    mistake(wrong)
    assert check(wrong)


@pytest.mark.parametrize("text", ["[]", "a: [", "just words"])
def test_checker_says_what_is_no_config(tmp_path, text):
    path = Path(tmp_path) / "config.yaml"
    path.write_text(text)
    assert check_file(path)
