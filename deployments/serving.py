"""The classes that Serve makes replicas of: plain ones, given their place in the cluster."""

import logging
from dataclasses import replace
from typing import Any

import ray
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.diffusion import DiffusionReplica
from deployments.erase import EraseReplica
from deployments.family import FamilySetup, Report
from deployments.metrics import ReplicaMetrics
from deployments.ocr import OcrReplica
from inpaint.reports import ReplicaReport

logger = logging.getLogger("ray.serve")


class Erase(EraseReplica):
    """A replica of a family of erase models."""

    def __init__(self, setup: FamilySetup, registry: DeploymentHandle[Any]) -> None:
        super().__init__(*_place(setup, registry))


class Diffusion(DiffusionReplica):
    """A replica of a family that paints by a prompt; `paint` is a streaming method."""

    def __init__(self, setup: FamilySetup, registry: DeploymentHandle[Any]) -> None:
        super().__init__(*_place(setup, registry))


class Ocr(OcrReplica):
    """A replica of a family that reads text."""

    def __init__(self, setup: FamilySetup, registry: DeploymentHandle[Any]) -> None:
        super().__init__(*_place(setup, registry))


def _place(
    setup: FamilySetup, registry: DeploymentHandle[Any]
) -> tuple[FamilySetup, str, Report, ReplicaMetrics]:
    """A replica's place in the cluster: its GPU share, its name, and whom it tells of itself."""

    async def report(what: ReplicaReport) -> None:
        try:
            await registry.report.remote(what)
        except Exception as error:  # noqa: BLE001  a lost Registry must not fail a replica
            logger.warning("the registry does not answer: %s", type(error).__name__)

    share = ray.get_runtime_context().get_assigned_resources().get("GPU", 0.0)
    name = serve.get_replica_context().replica_id.unique_id
    return replace(setup, gpu_share=share), name, report, ReplicaMetrics(setup.family)
