"""How an ingress replica reaches the sockets: by a handle, for as long as they are there."""

import asyncio
import logging
import time
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from serve_app.sockets.names import DEPLOYMENT

LIMIT_S = 2.0
"""When an event counts as lost. The next step makes up for it."""
LOOK_AGAIN_S = 10.0
"""How long nobody is told after the sockets were not found, or did not answer."""

logger = logging.getLogger("ray.serve")


class Teller:
    """Tells the sockets of an application, which may start later than this replica, or never.

    Args:
        app_name: of the application.
    """

    def __init__(self, app_name: str) -> None:
        self._app_name = app_name
        self._handle: DeploymentHandle[Any] | None = None
        self._silent_until = 0.0

    async def __call__(self, listener: str, event: str, data: dict[str, Any] | None) -> None:
        """Have an event sent to one browser's sockets. Never raises: no result hangs on it."""
        if time.monotonic() < self._silent_until:
            return
        try:
            await asyncio.wait_for(self._tell(listener, event, data), LIMIT_S)
        except Exception as error:  # noqa: BLE001  see above
            self._handle = None
            self._silent_until = time.monotonic() + LOOK_AGAIN_S
            logger.warning("the sockets do not answer: %s", type(error).__name__)

    async def _tell(self, listener: str, event: str, data: dict[str, Any] | None) -> None:
        if self._handle is None:
            self._handle = await asyncio.to_thread(
                serve.get_deployment_handle, DEPLOYMENT, self._app_name
            )
        response = self._handle.tell.remote(listener, event, data)
        try:
            await response
        except asyncio.CancelledError:
            response.cancel()
            raise
