"""Spans of requests, for OpenTelemetry; see docs/observability.md.

Serve makes a request's first spans, in its proxy and on the ingress replica, and those of the calls
to families. It is told of `span_processors` by RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH. Ours lie
between: the request, and each of its stages. Without Serve's tracing nothing here costs anything.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
)
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import ProxyTracerProvider, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import Scope

from serve_app.accounts import Account

NAME = "inpaint-serve"
"""Of the instrumentation."""

EXPORTER, RATIO = "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER_ARG"
"""OpenTelemetry's own environment variables: "otlp" (default), "console" or "none"; 0 to 1."""

PATHS = frozenset({"request_route_path", "http.route", "http.target", "route", "resource.name"})
"""Attributes of Serve's spans that hold the path as the client wrote it."""

BACKGROUND = "Registry"
"""The deployment that replicas report to every few seconds: no trace is made of that."""

logger = logging.getLogger("ray.serve")


def span_processors() -> list[SpanProcessor]:
    """What a process of Serve does with its spans; called by Serve when it starts tracing there.

    A service must not fail for its traces: what cannot be exported is logged once, and dropped.
    """
    exporter = os.environ.get(EXPORTER, "otlp")
    if exporter == "console":
        return [Kept(SimpleSpanProcessor(ConsoleSpanExporter()), _ratio())]
    if exporter == "none":
        return []
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        logger.error("traces are dropped: pip install 'inpaint-serve[traces]'")
        return []
    return [Kept(BatchSpanProcessor(OTLPSpanExporter()), _ratio())]


def _ratio() -> float:
    word = os.environ.get(RATIO, "1")
    try:
        return min(max(float(word), 0.0), 1.0)
    except ValueError:
        logger.error("%s=%r is no number: every trace is kept", RATIO, word[:20])
        return 1.0


class Kept(SpanProcessor):
    """Hands on the spans of a share of all traces, without what a client may have written.

    Serve decides anew at each call whether it samples, so with its own ratio below 1 traces fall
    to pieces. The id decides here, the same in every process.

    Args:
        inner: gets the spans.
        ratio: the share, 0 to 1.
    """

    def __init__(self, inner: SpanProcessor, ratio: float) -> None:
        self._inner = inner
        self._bound = TraceIdRatioBased.get_bound_for_rate(ratio)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """See SpanProcessor; only ends count."""

    def on_end(self, span: ReadableSpan) -> None:
        """See SpanProcessor."""
        is_chosen = span.context.trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound
        if is_chosen and (span.attributes or {}).get("deployment") != BACKGROUND:
            self._inner.on_end(_cleared(span))

    def shutdown(self) -> None:
        """See SpanProcessor."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See SpanProcessor."""
        return self._inner.force_flush(timeout_millis)


def _cleared(span: ReadableSpan) -> ReadableSpan:
    """Serve's spans without paths and texts of errors; the proxy's name has a path at its end."""
    scope = span.instrumentation_scope
    if scope is None or not scope.name.startswith("ray.serve"):
        return span
    kept = {name: value for name, value in (span.attributes or {}).items() if name not in PATHS}
    for event in span.events:
        kept["error.type"] = (event.attributes or {}).get("exception.type", event.name)
    return ReadableSpan(
        span.name.partition(" /")[0],
        span.context,
        span.parent,
        span.resource,
        kept,
        (),
        span.links,
        span.kind,
        None,
        Status(span.status.status_code),
        span.start_time,
        span.end_time,
        scope,
    )


def request_span(account: Account, scope: Scope) -> AbstractContextManager[None]:
    """Around the work on a request: its span, under which every stage of it has one too."""
    if isinstance(trace.get_tracer_provider(), ProxyTracerProvider):  # nobody traces
        return nullcontext()
    return _traced(account, scope)


@contextmanager
def _traced(account: Account, scope: Scope) -> Iterator[None]:
    # An error's text may quote the client, so no span tells of it; this one has its code.
    begin = partial(
        trace.get_tracer(NAME).start_as_current_span,
        record_exception=False,
        set_status_on_exception=False,
    )
    with begin("request", _parent(scope), SpanKind.SERVER) as span:
        account.timings.around = begin
        try:
            yield
        finally:
            span.update_name(f"{account.method} {account.route}")
            span.set_attributes(_attributes(account))
            if account.status >= 500:
                span.set_status(StatusCode.ERROR)


def _parent(scope: Scope) -> Context | None:
    """None for Serve's own span, unless Serve's proxy has not read the client's `traceparent`."""
    sent = TraceContextTextMapPropagator().extract(dict(Headers(scope=scope)))
    theirs = trace.get_current_span(sent).get_span_context()
    ours = trace.get_current_span().get_span_context()
    return sent if theirs.is_valid and theirs.trace_id != ours.trace_id else None


def _attributes(account: Account) -> dict[str, str | int]:
    """By OpenTelemetry's names where it has some."""
    known: dict[str, str | int] = {
        "http.request.method": account.method,
        "http.route": account.route,
        "http.response.status_code": account.status,
        "inpaint.request_id": account.request_id,
        "inpaint.family": account.family,
        "inpaint.model": account.model,
        "inpaint.tiles": account.tiles,
        "error.type": account.error,
    }
    return {name: value for name, value in known.items() if value}
