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
    """The service on a cluster that a test adds nodes to, and deploys other configs on."""

    def __init__(self, cluster, head, url, document):
        self.cluster = cluster
        self.head = head
        self.url = url
        self.document = document
        self.workers = []

    def add_node(self, **resources):
        return self.cluster.add_node(object_store_memory=100 * 2**20, **resources)

    def add_worker(self, port, **resources):
        """A node whose proxy, if it gets one, is at `port`: several may stand on one machine."""
        variables = {"RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(port)}
        self.workers.append(self.add_node(env_vars=variables, **resources))

    def lose_head(self):
        """Kill all that runs on the head; this process has no Ray from then on."""
        ray.shutdown()
        self.cluster.remove_node(self.cluster.head_node, allow_graceful=False)

    def restore_head(self):
        """A new head in the old one's place, which finds its state in Redis. On the main thread."""
        self.cluster.add_node(**self.head)
        ray.init(address=self.cluster.address, log_to_driver=False)

    def deploy(self):
        """Have `document`, changed or not, carried out; comes back at once."""
        _get_global_client().deploy_apps(ServeDeploySchema.model_validate(self.document))

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


def config(port, families, ingress=None, proxy_location="HeadOnly", **args):
    """The shipped config with these families instead of its own.

    Args:
        port: of the head's proxy.
        families: see `family`.
        ingress: what the ingress's entry of `deployments:` says otherwise.
        proxy_location: where proxies run.
        args: what the application's `args:` say besides.
    """
    document = yaml.safe_load(default_serve_config().read_text())
    document["http_options"]["port"] = port
    document["proxy_location"] = proxy_location
    application = document["applications"][0]
    own = [
        entry for entry in application["deployments"] if entry["name"] in {"Ingress", "Registry"}
    ]
    own[0]["user_config"]["cold_wait_s"] = 2
    own[0]["graceful_shutdown_timeout_s"] = 1
    if ingress and "num_replicas" in ingress:
        del own[0]["autoscaling_config"]
    own[0].update(ingress or {})
    application["deployments"] = [*own, *(options for _, options in families)]
    families = [entry for entry, _ in families]
    application["args"].update({"model_folders": [str(OWN_MODELS)], "families": families} | args)
    return document


@contextmanager
def service(families, gpus=0, environment=None, workers=(), head=None, port=None, **options):
    """The service with `families` on a cluster whose first node has `gpus`.

    Args:
        families: see `family`.
        gpus: logical ones of the head.
        environment: of every process.
        workers: for each further node, what Service.add_worker takes.
        head: what Ray's node takes, otherwise than below.
        port: of the head's proxy; absent: any.
        options: see `config`.
    """
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
        head_args = {
            "num_cpus": 4,
            "num_gpus": gpus,
            "include_dashboard": False,
            "dashboard_port": free_port(),  # Ray leaks a socket where its own one is taken
            "object_store_memory": 200 * 2**20,
            **(head or {}),
        }
        cluster = Cluster(initialize_head=True, head_node_args=head_args)
        try:
            ray.init(address=cluster.address, log_to_driver=False)
            port = port or free_port()
            document = config(port, families, **options)
            running = Service(cluster, head_args, f"http://127.0.0.1:{port}", document)
            for worker in workers:
                running.add_worker(**worker)
            serve.start(
                proxy_location=document["proxy_location"],
                http_options=document["http_options"],
                controller_options=document["controller_options"],
            )
            running.deploy()
            wait_for(lambda: answers(running.url))
            yield running
        finally:
            if ray.is_initialized():  # not where a test lost the head for good
                serve.shutdown()
            ray.shutdown()
            cluster.shutdown()
