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
from ray.serve._private.common import DeploymentStatusTrigger, ReplicaState
from ray.serve.context import _get_global_client
from ray.serve.schema import DeploymentDetails, ServeInstanceDetails

from inpaint.settings import Scalable
from serve_app.capacity import ClusterState, FamilyState

LIMIT_S = 30.0
"""How long the controller may take: one that is restarted answers after some seconds."""


def look(app_name: str, scalable: Scalable) -> ClusterState:
    """The state of the cluster as far as the application is concerned.

    Args:
        app_name: of the Serve application.
        scalable: what the config says of the cluster's growth.

    Raises:
        Exception: the controller or the cluster's head does not answer.
    """
    client = cast(ServeControllerClient, _get_global_client())
    answer = client._controller.get_serve_instance_details.remote()
    details = ServeInstanceDetails(**cast(dict[str, Any], ray.get(answer, timeout=LIMIT_S)))
    deployments = details.applications[app_name].deployments
    nodes = ray.nodes()
    return ClusterState(
        families={name: _family(deployment) for name, deployment in deployments.items()},
        nodes=tuple(node["Resources"] for node in nodes if node["Alive"]),
        can_grow=has_autoscaler(nodes) if scalable == "auto" else scalable,
    )


def _family(deployment: DeploymentDetails) -> FamilyState:
    states = [replica.state for replica in deployment.replicas]
    is_tried = ReplicaState.STARTING in states  # a version that has run before is tried for ever
    has_failed = deployment.status_trigger is DeploymentStatusTrigger.REPLICA_STARTUP_FAILED
    return FamilyState(
        deployment.status.value,
        states.count(ReplicaState.RUNNING),
        deployment.required_resources,
        deployment.target_num_replicas,
        has_failed and not is_tried,
    )


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
