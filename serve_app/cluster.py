"""What Ray and Serve say about the cluster. Blocking calls: for a thread, not the event loop."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

import ray
from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.autoscaler.v2.utils import is_autoscaler_v2
from ray.experimental.internal_kv import _internal_kv_get
from ray.serve._private.client import ServeControllerClient
from ray.serve._private.common import ReplicaState
from ray.serve.context import _get_global_client
from ray.serve.schema import DeploymentDetails, ServeInstanceDetails

from inpaint.settings import Scalable
from serve_app.capacity import ClusterState, FamilyState


def look(app_name: str, scalable: Scalable) -> ClusterState:
    """The state of the cluster as far as the application is concerned.

    Args:
        app_name: of the Serve application.
        scalable: what the config says of the cluster's growth.
    """
    client = cast(ServeControllerClient, _get_global_client())
    details = ServeInstanceDetails(**client.get_serve_details())
    deployments = details.applications[app_name].deployments
    nodes = ray.nodes()
    return ClusterState(
        families={name: _family(deployment) for name, deployment in deployments.items()},
        nodes=tuple(node["Resources"] for node in nodes if node["Alive"]),
        can_grow=has_autoscaler(nodes) if scalable == "auto" else scalable,
    )


def _family(deployment: DeploymentDetails) -> FamilyState:
    running = sum(replica.state is ReplicaState.RUNNING for replica in deployment.replicas)
    return FamilyState(deployment.status.value, running, deployment.required_resources)


def has_autoscaler(nodes: Iterable[Mapping[str, Any]]) -> bool:
    """Whether something adds nodes to this cluster: KubeRay's autoscaler, or `ray up`'s.

    Every cluster reports like one that grows; but where nothing adds nodes, each node is of a
    type of its own, which is called after it.
    """
    own_types = {f"node_{node['NodeID']}" for node in nodes}
    return bool(_node_types() - own_types)


def _node_types() -> set[str]:
    """Node types as the cluster's monitor reports them; none where no monitor runs."""
    if is_autoscaler_v2():
        status = get_cluster_status(ray.get_runtime_context().gcs_address)
        return {node.ray_node_type_name for node in (*status.active_nodes, *status.idle_nodes)}
    report = json.loads(_internal_kv_get(DEBUG_AUTOSCALING_STATUS) or "{}")
    return set(report.get("autoscaler_report", {}).get("active_nodes", {}))
