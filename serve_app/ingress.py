"""The ingress deployment: the only part that speaks HTTP."""

import asyncio
import logging
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle, DeploymentResponse, DeploymentResponseGenerator

from inpaint.reports import ReplicaReport, ServiceState
from inpaint.settings import AccessArgs, IngressConfig, IOPaintArgs, Scalable
from serve_app.api import create_api
from serve_app.capacity import Capacity, ClusterState, OnCold
from serve_app.cluster import look
from serve_app.gateway import Gateway
from serve_app.metrics import EdgeMetrics
from serve_app.routing import Routes
from serve_app.serve_context import adopt
from serve_app.serve_families import ServeFamily
from serve_app.shared_state import PATIENCE_S, SharedState
from serve_app.sockets.teller import Teller
from serve_app.weights_desk import Desk, OpenDesk

logger = logging.getLogger("ray.serve")


@serve.ingress()
class Ingress:
    """Builds its FastAPI application on the replica, around a gateway of its own."""

    def __init__(
        self,
        routes: Routes,
        registry: DeploymentHandle[Any],
        families: dict[str, DeploymentHandle[Any]],
        iopaint: IOPaintArgs,
        access: AccessArgs,
        open_desk: OpenDesk,
        scalable: Scalable,
    ) -> None:
        context = serve.get_replica_context()
        self._app_name, self._deployment = context.app_name, context.deployment
        self._iopaint, self._access = iopaint, access
        self._metrics = EdgeMetrics()

        self._capacity = _capacity(context.app_name, families, scalable, self._metrics.waited)
        called = {name: ServeFamily(name, handle) for name, handle in families.items()}
        self._gateway = Gateway(
            routes,
            called,
            called,
            called,
            _shared_state(registry),
            self._capacity,
            self._cancel_everywhere,
            _desk(open_desk, registry, context.replica_id.unique_id),
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Serve once the constructor has run."""
        return create_api(
            self._gateway,
            self._iopaint,
            self._access,
            replicas=lambda: self._capacity.running(self._deployment),
            echo_request_id=False,
            adopt_request_id=adopt,
            settled=(self._metrics.settled,),
            tell=Teller(self._iopaint.sockets) if self._iopaint.sockets else None,
        )

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Take over the deployment's `user_config`."""
        self._gateway.configure(IngressConfig.model_validate(config))

    async def check_health(self) -> None:
        """Asked by Serve on the event loop that answers requests: once that is stuck, no more."""

    async def cancel(self, request_id: str) -> bool:
        """Cancel a request on this replica; called on all of them by broadcast."""
        return self._gateway.cancel_here(request_id)

    async def _cancel_everywhere(self, request_id: str) -> bool:
        if self._gateway.cancel_here(request_id):
            return True
        handle = serve.get_deployment_handle(self._deployment, self._app_name)
        return any(await handle.broadcast("cancel", request_id).results_async())


def _capacity(
    app_name: str,
    families: dict[str, DeploymentHandle[Any]],
    scalable: Scalable,
    on_cold: OnCold,
) -> Capacity:
    async def see() -> ClusterState:
        return await asyncio.to_thread(look, app_name, scalable)

    async def warm(family: str) -> None:
        await _answer(families[family].check_health.remote())

    return Capacity(see, warm, on_cold=on_cold)


def _shared_state(registry: DeploymentHandle[Any]) -> SharedState:
    async def ask() -> ServiceState:
        state: ServiceState = await _answer(registry.state.remote())
        return state

    async def choose(name: str) -> None:
        await _answer(registry.choose_default.remote(name))

    return SharedState(ask, choose)


def _desk(open_desk: OpenDesk, registry: DeploymentHandle[Any], replica: str) -> Desk:
    """The replica's desk, which tells the Registry what it fetches."""

    async def tell() -> None:
        report = ReplicaReport(replica, "Ingress", (), 0, desk.downloads)
        try:
            await asyncio.wait_for(_answer(registry.report.remote(report)), PATIENCE_S)
        except Exception as error:  # noqa: BLE001  a lost Registry must not fail a request
            logger.warning("the registry does not answer: %s", type(error).__name__)

    desk = open_desk(tell)
    return desk


async def _answer(response: DeploymentResponse[Any] | DeploymentResponseGenerator[Any]) -> Any:
    """The answer. Cancelled with the caller: Serve would go on trying, and a switch that was
    reported as failed would come through later.
    """  # noqa: D205  one sentence
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
