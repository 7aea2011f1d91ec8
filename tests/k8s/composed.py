"""One overlay's manifests, and the questions that tests ask of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

Block = dict[str, Any]

UNITS = {"": 1, "m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def amount(quantity: str) -> float:
    """A Kubernetes quantity as a number: "500m" is 0.5, "2Gi" is 2 ** 31."""
    unit = quantity.lstrip("0123456789.")
    return float(quantity.removesuffix(unit)) * UNITS[unit]


@dataclass
class Composed:
    """What `kubectl apply -k` of a folder would send."""

    folder: Path
    manifests: list[Block]

    def of_kind(self, kind: str) -> list[Block]:
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def named(self, kind: str, name: str) -> Block:
        [found] = [one for one in self.of_kind(kind) if one["metadata"]["name"] == name]
        return found

    @cached_property
    def cluster(self) -> Block:
        """The RayService's `rayClusterConfig`."""
        [service] = self.of_kind("RayService")
        config: Block = service["spec"]["rayClusterConfig"]
        return config

    @cached_property
    def serve_config(self) -> Block:
        [service] = self.of_kind("RayService")
        config: Block = yaml.safe_load(service["spec"]["serveConfigV2"])
        return config

    @cached_property
    def deployments(self) -> dict[str, Block]:
        """The Serve deployments by name."""
        app, _ = self.serve_config["applications"]
        return {entry["name"]: entry for entry in app["deployments"]}

    @property
    def groups(self) -> list[Block]:
        groups: list[Block] = self.cluster["workerGroupSpecs"]
        return groups

    def pod_templates(self) -> Iterator[tuple[str, Block]]:
        """Every pod template with a name for it, Ray's among them."""
        yield "head", self.cluster["headGroupSpec"]["template"]
        for group in self.groups:
            yield group["groupName"], group["template"]
        for kind in ("Deployment", "StatefulSet", "Job"):
            for manifest in self.of_kind(kind):
                yield f"{kind}/{manifest['metadata']['name']}", manifest["spec"]["template"]

    def pods(self) -> dict[str, dict[str, str]]:
        """The labels that each kind of pod bears, with those that KubeRay adds."""
        templates = self.pod_templates()
        pods = {name: dict(template["metadata"]["labels"]) for name, template in templates}
        pods["head"] |= {"ray.io/node-type": "head", "ray.io/group": "headgroup"}
        pods["redis-cleanup"] = pods["head"] | {"ray.io/node-type": "redis-cleanup"}
        for group in self.groups:
            name = group["groupName"]
            pods[name] |= {"ray.io/node-type": "worker", "ray.io/group": name, **group["labels"]}
        return pods
