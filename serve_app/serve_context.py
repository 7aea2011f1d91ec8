"""What Serve knows of the request that runs. The one place that touches these parts of Serve."""

from dataclasses import replace
from typing import Any

from ray.serve.context import _get_serve_request_context, _serve_request_context


def adopt(request_id: str) -> None:
    """Let Serve's log lines, here and on the replicas that are called, show this id.

    Serve takes a client's id as it came; ours is another one where that is not well formed.
    """
    context = _get_serve_request_context()
    if context.request_id != request_id:
        changed: Any = replace(context, request_id=request_id)  # Serve's variable is untyped
        _serve_request_context.set(changed)
