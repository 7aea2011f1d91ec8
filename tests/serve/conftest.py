"""One real Serve instance for the whole tier, on a free port, with every family of the tests."""

import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import ray
import yaml
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

from inpaint.resources import default_serve_config
from tests.local_service import OWN_MODELS
from tests.serve.checkpoints import write_checkpoints
from tests.serve.special_checkpoints import write_plain_checkpoints, write_special_checkpoints
from tests.serve.special_requests import Painter
from tests.standins.catalog import checksum_variables, write_stand_ins
from tests.user_models import write_user_model
from tests.weights_server import weights_server

ROOT = Path(__file__).parents[2]
START_LIMIT_S = 120
PROXY_BODIES_MB = 64
"""What Serve's proxy takes in at once, bodies that still wait for an ingress included."""
RESTING = {
    "max_ongoing_requests": 2,
    "autoscaling_config": {
        "min_replicas": 0,
        "max_replicas": 1,
        "target_ongoing_requests": 1,
        "upscale_delay_s": 0,
    },
    "user_config": {"threads": 1},
}
"""Of families that only a few modules ask."""


def free_port():
    """Serve shares ports in silence, so the default one may belong to somebody else."""
    return free_ports(1)[0]


def free_ports(count):
    """As many different ones: two calls of free_port may give the same."""
    with ExitStack() as opened:
        probes = [opened.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def wait_for(what, limit_s=START_LIMIT_S):
    """Poll until `what()` is true, and give its value."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.2)
    raise TimeoutError(what)


def answers(url):
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def service_config(port, model_dir, user_models):
    """The shipped config with the tests' own families beside Erase."""
    document = yaml.safe_load(default_serve_config().read_text())
    document["http_options"]["port"] = port
    application = document["applications"][0]
    application["args"].update(
        model_dir=str(model_dir),
        model_folders=[str(OWN_MODELS), str(user_models)],
        families=[
            {"deployment": "Erase", "kind": "erase", "device": "cpu", "engine": "torch"},
            {"deployment": "Fragile", "kind": "erase", "device": "cpu"},
            {"deployment": "Narrow", "kind": "erase", "device": "cpu"},
            {"deployment": "Steps", "kind": "diffusion", "device": "cpu"},
            {"deployment": "SD15", "kind": "diffusion", "device": "cpu"},
            {"deployment": "SDXL", "kind": "diffusion", "device": "cpu"},
            {"deployment": "Special", "kind": "diffusion", "device": "cpu"},
            {"deployment": "OCR", "kind": "ocr", "device": "cpu", "models": ["dying-reader"]},
        ],
    )
    entries = {
        entry["name"]: entry
        for entry in application["deployments"]
        if entry["name"] in ("Ingress", "Registry", "Erase", "OCR")
    }
    shared = {"ray_actor_options": {"num_cpus": 0.1}, "graceful_shutdown_timeout_s": 281}
    application["deployments"] = [
        *entries.values(),
        {"name": "Fragile", "num_replicas": 2, "max_queued_requests": 8, **shared},
        {
            "name": "Narrow",
            "num_replicas": 1,
            "max_ongoing_requests": 1,
            "max_queued_requests": 1,
            "backpressure_config": {"status_code": 503, "retry_after_s": 2},
            **shared,
        },
        {
            "name": "Steps",
            "num_replicas": 1,
            "max_ongoing_requests": 2,
            "max_queued_requests": 1,
            "backpressure_config": {"status_code": 503, "retry_after_s": 2},
            **shared,
        },
        *({"name": name, **RESTING, **shared} for name in ("SD15", "SDXL", "Special")),
    ]
    entries["Ingress"]["autoscaling_config"] = None
    entries["Ingress"]["num_replicas"] = 2  # what they share must work across them
    del entries["Ingress"]["autoscaling_config"]
    entries["OCR"]["user_config"] = {}
    return document


@pytest.fixture(scope="package")
def scratch(tmp_path_factory):
    """Where the tests' models remember across processes."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="package")
def model_dir(tmp_path_factory):
    """IOPaint's layout with stand-ins of every erase model."""
    folder = tmp_path_factory.mktemp("models")
    write_stand_ins(folder)
    write_plain_checkpoints(folder)
    return folder


@pytest.fixture(scope="package")
def checkpoints(model_dir):
    """The folder of each checkpoint of SD15 and SDXL, by the name of its model."""
    return write_checkpoints(model_dir)


@pytest.fixture(scope="package")
def user_models(model_dir, tmp_path_factory):
    """A folder with a model that no file of this repository knows."""
    folder = tmp_path_factory.mktemp("user-models")
    write_user_model(folder, model_dir)
    return folder


@pytest.fixture(scope="package")
def weights():
    """The only server of weights that a test's model names."""
    with weights_server() as server:
        yield server


@pytest.fixture(scope="package")
def url(model_dir, user_models, scratch, weights):
    """Address of the running service."""
    environment = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_metrics_report_interval_ms": "3000",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.proxy:layers",
        "INPAINT_PROXY_BODIES_MB": str(PROXY_BODIES_MB),
        "AWKWARD_MODELS_SCRATCH": str(scratch),
        "AWKWARD_MODELS_SLOW_S": "1.5",
        "STEPS_MODEL_STEP_S": "0.3",
        "STORED_FILL_MODEL_URL": weights.put("/stored-fill.bin", b"numbers" * 1000),
        "PYTHONPATH": str(ROOT),
        **checksum_variables(model_dir),
    }
    os.environ.update(environment)
    port = free_port()
    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=300 * 2**20,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port, "request_timeout_s": 300})
    document = service_config(port, model_dir, user_models)
    _get_global_client().deploy_apps(ServeDeploySchema.model_validate(document))
    address = f"http://127.0.0.1:{port}"
    wait_for(lambda: answers(address))
    yield address
    serve.shutdown()
    ray.shutdown()


@pytest.fixture
def client(url):
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="package")
def special(url, model_dir, checkpoints):
    """Paints by special models and guides, from checkpoints that are there from now on."""
    write_special_checkpoints(model_dir)
    return Painter(url)
