"""What a replica did for a request, as OpenTelemetry spans under Serve's span of the call.

Without Serve's tracing nothing here costs anything; see docs/observability.md.
"""

import time
from contextlib import AbstractContextManager, nullcontext

from opentelemetry import trace
from opentelemetry.trace import ProxyTracerProvider

NAME = "inpaint-serve"
"""Of the instrumentation."""


def load_span(model: str) -> AbstractContextManager[object]:
    """Around the load of a model; belongs to the request that was the first to need it."""
    if _is_off():
        return nullcontext()
    return trace.get_tracer(NAME).start_as_current_span(
        "load", attributes=_of(model), record_exception=False, set_status_on_exception=False
    )


def forward_spans(model: str, queue_ms: float, forward_ms: float, batch: int = 1) -> None:
    """The wait of a call and its forward, which has just ended."""
    if _is_off():
        return
    tracer = trace.get_tracer(NAME)
    ended = time.time_ns()
    began = ended - int(1e6 * forward_ms)
    arrived = began - int(1e6 * queue_ms)
    tracer.start_span("queue", attributes=_of(model), start_time=arrived).end(began)
    facts = {**_of(model), "inpaint.batch": batch}
    tracer.start_span("forward", attributes=facts, start_time=began).end(ended)


def _is_off() -> bool:
    return isinstance(trace.get_tracer_provider(), ProxyTracerProvider)


def _of(model: str) -> dict[str, str | int]:
    return {"inpaint.model": model}
