"""The smallest Serve application: what Ray itself costs."""

from typing import cast

from ray import serve
from ray.serve import Deployment


class Empty:
    """Answers."""

    async def __call__(self) -> str:
        """A word."""
        return "ok"


app = cast(Deployment, serve.deployment(Empty)).bind()
