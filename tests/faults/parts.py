"""The processes of a running service: which they are, and what to do to them."""

import os
import signal
from pathlib import Path

import psutil
from ray.exceptions import RayError
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException

APPLICATION = "inpaint"


def details():
    """What the Serve controller says of itself, of proxies and of replicas."""
    return _get_global_client().get_serve_details()


def replicas(deployment):
    """The replicas of a deployment that take requests, by id."""
    known = details()["applications"][APPLICATION]["deployments"].get(deployment)
    return {
        one["replica_id"]: one
        for one in (known["replicas"] if known else [])
        if one["state"] == "RUNNING" and is_there(one["pid"])
    }


def replica_on(deployment, node):
    """The one replica of a deployment that a node holds."""
    [found] = [one for one in replicas(deployment).values() if one["node_id"] == node.node_id]
    return found


def leaving():
    """Replicas that take no more requests but are not gone yet."""
    deployments = details()["applications"][APPLICATION]["deployments"].values()
    return [one for each in deployments for one in each["replicas"] if one["state"] == "STOPPING"]


def is_healthy():
    """Whether everything that was asked for runs, whatever the controller has not noticed yet."""
    try:
        known = details()
    except (
        RayError,
        RayServeException,
    ):  # the controller, or what it keeps its state in, is not back yet
        return False
    application = known["applications"].get(APPLICATION)
    return (
        application is not None
        and application["status"] == "RUNNING"
        and all(_is_whole(name, one) for name, one in application["deployments"].items())
        and all(one["status"] == "HEALTHY" for one in known["proxies"].values())
        and len(processes("ray::ProxyActor")) == len(known["proxies"])
    )


def _is_whole(name, deployment):
    wanted = deployment["target_num_replicas"]
    return deployment["status"] == "HEALTHY" and len(replicas(name)) == wanted


def processes(title, node=None):
    """Processes of this test's clusters whose title begins so, on one node or on all.

    Whatever Ray runs descends from the process that made the cluster, so nothing else is found.
    """
    roots = psutil.Process().children()
    if node is not None:
        [raylet] = node.all_processes["raylet"]
        roots = [psutil.Process(raylet.process.pid)]
    family = [one for root in roots for one in (root, *root.children(recursive=True))]
    return [one for one in family if _title(one).startswith(title)]


def _title(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def kill(pid):
    """End a process as the kernel's out-of-memory killer does."""
    os.kill(pid, signal.SIGKILL)


def freeze(pid):
    """Stop a process in the middle of whatever it does; it keeps its connections."""
    os.kill(pid, signal.SIGSTOP)


def is_there(pid):
    """Whether a process runs, frozen or not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def note(folder, name):
    """Leave a note for the tests' models; see models/steady.py."""
    (Path(folder) / name).touch()
