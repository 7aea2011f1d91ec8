"""The smallest Serve application: what Ray itself costs."""

from ray import serve


class Empty:
    """Answers."""

    async def __call__(self) -> str:
        """A word."""
        return "ok"


app = serve.deployment(Empty).bind()
