"""Every shipped config, and the checker that looks at them."""

import copy
from pathlib import Path

import pytest
import yaml

from inpaint.catalog import Catalog
from inpaint.resources import configs_dir, default_serve_config
from inpaint.settings import AppArgs
from serve_app.cli.start_config import applications
from serve_app.config_check import check, check_file
from serve_app.routing import assign

SERVE_CONFIGS = [default_serve_config(), *sorted((configs_dir() / "app").glob("*.yaml"))]
CATALOG = Catalog.from_dirs([configs_dir() / "models"])
FAMILIES = ("Erase", "OCR", "SD15", "SDXL", "Special")
TOO_LARGE = {"vram-4gb.yaml": {"SDXL"}, "vram-under-4gb.yaml": {"SDXL"}}
"""Families that the GPU of a config cannot hold: SDXL's UNet takes 4.8 GiB in float16."""


@pytest.mark.parametrize("path", SERVE_CONFIGS, ids=lambda path: path.name)
def test_shipped_serve_config_passes_the_strict_checker(path):
    assert check_file(path) == []


@pytest.mark.parametrize("path", SERVE_CONFIGS, ids=lambda path: path.name)
def test_shipped_serve_config_builds(path):
    for application in applications(yaml.safe_load(path.read_text())):
        args = AppArgs.model_validate(application["args"])
        assert assign(CATALOG, args.families)


@pytest.mark.parametrize("path", SERVE_CONFIGS, ids=lambda path: path.name)
def test_families_are_switched_on_as_soon_as_they_have_models(path):
    text = path.read_text()
    listed = {
        family["deployment"]
        for application in applications(yaml.safe_load(text))
        for family in application["args"]["families"]
    }
    with_models = {spec.family for spec in CATALOG.models}
    assert with_models <= set(FAMILIES)
    for family in FAMILIES:
        assert family in text, f"{path.name} has no place for {family}"
    assert listed == with_models - TOO_LARGE.get(path.name, set())


@pytest.mark.parametrize("path", SERVE_CONFIGS, ids=lambda path: path.name)
def test_diffusion_waits_at_zero_replicas_with_a_gpu_share(path):
    application, _ = yaml.safe_load(path.read_text())["applications"]
    families = [f for f in application["args"]["families"] if f["kind"] == "diffusion"]
    entries = {entry["name"]: entry for entry in application["deployments"]}
    assert families
    for family in families:
        entry = entries[family["deployment"]]
        assert entry["autoscaling_config"]["min_replicas"] == 0
        assert 0 < entry["ray_actor_options"]["num_gpus"] <= 1
        assert family["device"] == "cuda"


@pytest.mark.parametrize("path", SERVE_CONFIGS, ids=lambda path: path.name)
def test_whatever_answers_without_a_gpu_never_rests(path):
    application, _ = yaml.safe_load(path.read_text())["applications"]
    entries = {entry["name"]: entry for entry in application["deployments"]}
    for name in ("Ingress", "Registry", "Erase", "OCR"):
        entry = entries[name]
        assert ("autoscaling_config" in entry) != ("num_replicas" in entry)
        scaling = entry.get("autoscaling_config", {"min_replicas": entry.get("num_replicas")})
        assert scaling["min_replicas"] >= 1, name


GPU_GIB = {
    "gpu-24gb": 24,
    "vram-12gb": 12,
    "vram-8gb": 8,
    "vram-6gb": 6,
    "vram-4gb": 4,
    "vram-under-4gb": 2,
}
UNET_PARAMETERS = {"SD15": 859.5e6, "SDXL": 2567.5e6, "Special": 859.5e6}
LONGEST_TURN_S = 60


@pytest.mark.parametrize(("name", "gib"), GPU_GIB.items())
def test_weights_fit_the_share_of_the_smallest_gpu_that_a_config_is_for(name, gib):
    document = yaml.safe_load((configs_dir() / "app" / f"{name}.yaml").read_text())
    application, _ = document["applications"]
    shares = {}
    for entry in application["deployments"]:
        shares[entry["name"]] = entry["ray_actor_options"].get("num_gpus", 0)
    for family in application["args"]["families"]:
        if family["kind"] == "diffusion":
            on_gpu = 2 * UNET_PARAMETERS[family["deployment"]] / 2**30
            if not family.get("cpu_offload"):
                largest = max(s.memory_mb for s in CATALOG.select(family["deployment"], None))
                on_gpu = largest / 2 / 1024
            assert on_gpu < gib * shares[family["deployment"]], family["deployment"]


@pytest.mark.parametrize("name", ["serve_config", *GPU_GIB])
def test_whoever_is_asked_for_gets_its_share_of_one_gpu(name):
    """Beside those that keep theirs for long; the others make room when they are idle."""
    path = next(path for path in SERVE_CONFIGS if path.stem == name)
    application, _ = yaml.safe_load(path.read_text())["applications"]
    shares, kept = {}, {}
    for entry in application["deployments"]:
        share = entry["ray_actor_options"].get("num_gpus", 0)
        scaling = entry.get("autoscaling_config", {"min_replicas": 1})
        rests_late = scaling.get("downscale_delay_s", 600) > LONGEST_TURN_S
        (kept if rests_late or scaling["min_replicas"] else shares)[entry["name"]] = share
    assert sum(kept.values()) <= 1
    for family, share in shares.items():
        assert sum(kept.values()) + share <= 1, family


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
    "public without keys": lambda d: d["http_options"].update(host="::"),
    "keys without auth": lambda d: d["applications"][0]["args"].update(
        access={"api_keys": "keys.yaml"}
    ),
    "sockets in two places": lambda d: d["applications"][1]["deployments"][0].update(
        num_replicas=2
    ),
    "sockets of nobody": lambda d: d["applications"].pop(),
    "sockets with other keys": lambda d: d["applications"][1]["args"].update(
        access={"cors_origins": ["*"]}
    ),
    "unknown argument of sockets": lambda d: d["applications"][1]["args"].update(most=3),
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


@pytest.mark.parametrize("host", ["::", "10.0.0.7", "192.0.2.1", "inpaint.example"])
def test_a_public_address_wants_keys_or_the_word_that_it_does_not(document, host):
    document["http_options"]["host"] = host
    [finding] = check(document)
    assert host in finding
    assert "--insecure" in finding
    assert check(document, insecure=True) == []
    for application in document["applications"]:
        application["args"]["access"] = {"auth": "required", "api_keys": "/k.yaml"}
    assert check(document) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_a_loopback_address_wants_nothing(document, host):
    document["http_options"]["host"] = host
    assert check(document) == []
