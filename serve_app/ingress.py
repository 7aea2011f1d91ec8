"""The ingress deployment: the only part that speaks HTTP."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from inpaint.reports import ServiceState
from inpaint.settings import IngressConfig
from serve_app.api import create_api
from serve_app.gateway import Gateway
from serve_app.routing import Routes
from serve_app.serve_families import ServeFamily

STATUS_LIFETIME_S = 2.0
"""How old Serve's status may be: every asking costs the controller a call."""


@serve.ingress()
class Ingress:
    """Builds its FastAPI application on the replica, around a gateway of its own."""

    def __init__(
        self,
        routes: Routes,
        registry: DeploymentHandle[Any],
        families: dict[str, DeploymentHandle[Any]],
    ) -> None:
        context = serve.get_replica_context()
        self._app_name, self._deployment = context.app_name, context.deployment
        self._statuses: tuple[float, Mapping[str, str]] = (0.0, {})

        async def service_state() -> ServiceState:
            return await registry.state.remote()

        called = {name: ServeFamily(name, handle) for name, handle in families.items()}
        self._gateway = Gateway(
            routes,
            called,
            called,
            service_state,
            self._family_statuses,
            self._cancel_everywhere,
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Serve once the constructor has run."""
        return create_api(self._gateway, echo_request_id=False)

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Take over the deployment's `user_config`."""
        self._gateway.configure(IngressConfig.model_validate(config))

    async def cancel(self, request_id: str) -> bool:
        """Cancel a request on this replica; called on all of them by broadcast."""
        return self._gateway.cancel_here(request_id)

    async def _cancel_everywhere(self, request_id: str) -> bool:
        if self._gateway.cancel_here(request_id):
            return True
        handle = serve.get_deployment_handle(self._deployment, self._app_name)
        return any(await handle.broadcast("cancel", request_id).results_async())

    async def _family_statuses(self) -> Mapping[str, str]:
        asked, statuses = self._statuses
        if time.monotonic() - asked > STATUS_LIFETIME_S:
            application = (await asyncio.to_thread(serve.status)).applications[self._app_name]
            statuses = {
                name: deployment.status.value
                for name, deployment in application.deployments.items()
            }
            self._statuses = (time.monotonic(), statuses)
        return statuses
