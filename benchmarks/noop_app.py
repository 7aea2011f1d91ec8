"""A Serve application of the service's shape that does nothing: the floor under every request.

One ingress that reads the whole body, one replica behind a handle that sends a tile-sized array
back, and an answer of the size that a real one has.
"""

from typing import Any, cast

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import Response
from ray import serve
from ray.serve import Deployment
from ray.serve.handle import DeploymentHandle

from inpaint.arrays import Image, Mask


class Echo:
    """Sends a tile back."""

    async def paint(self, image: Image, mask: Mask) -> Image:
        """`image`, as it came."""
        return image


@serve.ingress()
class NoopIngress:
    """Reads, hops, answers."""

    def __init__(self, echo: DeploymentHandle[Any]) -> None:
        self._echo = echo

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Serve once the constructor has run."""
        api = FastAPI()

        @api.post("/")
        async def noop(request: Request, height: int, width: int, answer: int) -> Response:
            await request.body()
            tile = np.zeros((height, width, 3), np.uint8)
            await self._echo.paint.remote(tile, tile[..., 0].copy())
            return Response(b"\0" * answer, media_type="application/octet-stream")

        return api


def _small(cls: type) -> Deployment:
    """A deployment that takes little of the CPU share."""
    return cast(Deployment, serve.deployment(cls, ray_actor_options={"num_cpus": 0.1}))


app = _small(NoopIngress).bind(_small(Echo).bind())
