"""Real Ray clusters of several nodes on this machine. GPUs are logical: nothing uses them."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray
import yaml
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

from inpaint.resources import default_serve_config
from tests.local_service import OWN_MODELS
from tests.serve.conftest import answers, free_port, wait_for

ROOT = Path(__file__).parents[2]


class Service:
    """The service on a cluster that a test adds nodes to."""

    def __init__(self, cluster, url):
        self.cluster = cluster
        self.url = url

    def add_node(self, **resources):
        self.cluster.add_node(object_store_memory=100 * 2**20, **resources)

    def running(self, family):
        """How many replicas of a family take requests."""
        states = serve.status().applications["inpaint"].deployments[family].replica_states
        return {str(state): count for state, count in states.items()}.get("RUNNING", 0)


def family(name, models, gpus, kind="erase", most=1, least=0):
    """What a config says of one family: the entries of `families:` and of `deployments:`."""
    args = {"deployment": name, "kind": kind, "device": "cpu", "models": models}
    options = {
        "name": name,
        "max_ongoing_requests": 4,
        "graceful_shutdown_timeout_s": 1,
        "autoscaling_config": {
            "min_replicas": least,
            "max_replicas": most,
            "target_ongoing_requests": 1,
            "upscale_delay_s": 0,
        },
        "ray_actor_options": {"num_cpus": 0.1, "num_gpus": gpus},
    }
    return args, options


def config(port, families, **args):
    """The shipped config with these families instead of its own."""
    document = yaml.safe_load(default_serve_config().read_text())
    document["http_options"]["port"] = port
    document["proxy_location"] = "HeadOnly"
    application = document["applications"][0]
    own = [
        entry for entry in application["deployments"] if entry["name"] in {"Ingress", "Registry"}
    ]
    own[0]["user_config"]["cold_wait_s"] = 2
    own[0]["graceful_shutdown_timeout_s"] = 1
    application["deployments"] = [*own, *(options for _, options in families)]
    application["args"].update(
        model_folders=[str(OWN_MODELS)],
        families=[entry for entry, _ in families],
        **args,
    )
    return document


@contextmanager
def service(families, gpus=0, environment=None, **args):
    """The service with `families` on a cluster whose first node has `gpus`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",
            "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            **(environment or {}),
        }.items():
            patch.setitem(os.environ, name, value)
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 4,
                "num_gpus": gpus,
                "include_dashboard": False,
                "dashboard_port": free_port(),  # Ray leaks a socket where its own one is taken
                "object_store_memory": 200 * 2**20,
            },
        )
        try:
            ray.init(address=cluster.address, log_to_driver=False)
            port = free_port()
            serve.start(
                proxy_location="HeadOnly",
                http_options={"host": "127.0.0.1", "port": port, "request_timeout_s": 300},
            )
            document = ServeDeploySchema.model_validate(config(port, families, **args))
            _get_global_client().deploy_apps(document)
            url = f"http://127.0.0.1:{port}"
            wait_for(lambda: answers(url))
            yield Service(cluster, url)
        finally:
            serve.shutdown()
            ray.shutdown()
            cluster.shutdown()
