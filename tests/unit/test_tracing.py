"""Spans of a request on the edge and on a replica, without Serve."""

import asyncio
import sys
from contextlib import nullcontext

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import StatusCode
from ray.serve._private.tracing_utils import _load_span_processors

from deployments.spans import forward_spans, load_span
from serve_app import tracing
from serve_app.accounts import Account
from serve_app.tracing import Kept, request_span, span_processors

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CLIENT = {"headers": [(b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())]}
ALONE: dict[str, list[tuple[bytes, bytes]]] = {"headers": []}


@pytest.fixture
def exporter(monkeypatch):
    """Collects what would be exported; tracing is on."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(Kept(SimpleSpanProcessor(exporter), 1.0))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return exporter


def by_name(exporter):
    return {span.name: span for span in exporter.get_finished_spans()}


def test_without_tracing_nothing_is_made():
    account = Account("id")
    assert isinstance(request_span(account, CLIENT), nullcontext)
    assert isinstance(load_span("lama"), nullcontext)
    with request_span(account, CLIENT):
        assert account.timings.around is nullcontext
    forward_spans("lama", 1.0, 2.0)


async def test_a_request_and_its_stages_are_the_clients_trace(exporter):
    account = Account("id-1", "POST")
    with request_span(account, CLIENT):
        account.chose("Erase", "lama")
        with account.timings.stage("decode"):
            pass
        with account.timings.stage("models"):

            async def call():
                with load_span("lama"):
                    await asyncio.sleep(0)
                forward_spans("lama", 2.0, 5.0, 3)

            await asyncio.create_task(call())  # a task takes its context along, as Serve's calls
        account.route, account.status, account.tiles = "/inpaint", 200, 4
    spans = by_name(exporter)
    request = spans["POST /inpaint"]
    assert {span.context.trace_id for span in spans.values()} == {int(TRACE, 16)}
    assert request.parent.span_id == int(PARENT, 16)
    assert spans["decode"].parent.span_id == request.context.span_id
    for name in ("load", "queue", "forward"):
        assert spans[name].parent.span_id == spans["models"].context.span_id
        assert spans[name].attributes["inpaint.model"] == "lama"
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "/inpaint",
        "http.response.status_code": 200,
        "inpaint.request_id": "id-1",
        "inpaint.family": "Erase",
        "inpaint.model": "lama",
        "inpaint.tiles": 4,
    }
    queue, forward = spans["queue"], spans["forward"]
    assert (queue.end_time - queue.start_time, forward.end_time - forward.start_time) == (
        pytest.approx(2e6, abs=1000),
        pytest.approx(5e6, abs=1000),
    )
    assert queue.end_time == forward.start_time
    assert forward.attributes["inpaint.batch"] == 3


def test_a_span_of_serve_is_the_parent_and_where_the_proxy_is_not_traced_the_client(exporter):
    tracer = trace.get_tracer("ray.serve")
    remote = tracing.TraceContextTextMapPropagator().extract(
        {"traceparent": CLIENT["headers"][0][1].decode()}
    )
    with (
        tracer.start_as_current_span("replica_handle_request", context=remote) as of_serve,
        request_span(Account("id"), CLIENT),
    ):
        pass
    with tracer.start_as_current_span("root"), request_span(Account("id"), CLIENT):
        pass
    first, _, second, _ = exporter.get_finished_spans()
    assert first.parent.span_id == of_serve.get_span_context().span_id
    assert second.parent.span_id == int(PARENT, 16)


def test_no_span_holds_what_a_client_wrote(exporter):
    account = Account("id", "GET")
    with trace.get_tracer("ray.serve._private.tracing_utils").start_as_current_span(
        "proxy_http_request Ingress GET /models/my secret",
        attributes={"request_route_path": "/models/my secret", "deployment": "Ingress"},
    ) as of_serve:
        of_serve.record_exception(ValueError("my secret"))
        account.status, account.error = 500, "internal"
        with (
            pytest.raises(ValueError, match="my secret"),
            request_span(account, ALONE),
            account.timings.stage("admit"),
        ):
            raise ValueError("my secret")
    written = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert "secret" not in written
    spans = by_name(exporter)
    assert dict(spans["proxy_http_request Ingress GET"].attributes) == {
        "deployment": "Ingress",
        "error.type": "ValueError",
    }
    request = spans["GET OTHER"]
    assert request.status.status_code is StatusCode.ERROR
    assert request.attributes["error.type"] == "internal"


@pytest.mark.parametrize(("ratio", "kept"), [(0.0, 0), (1.0, 200), (0.25, None)])
def test_a_trace_is_kept_or_dropped_as_a_whole(ratio, kept):
    """In two processes, which know of each other by the id alone."""
    exporters = [InMemorySpanExporter(), InMemorySpanExporter()]
    for exporter in exporters:
        provider = TracerProvider(id_generator=Counting())
        provider.add_span_processor(Kept(SimpleSpanProcessor(exporter), ratio))
        for _ in range(200):
            provider.get_tracer("test").start_span("one").end()
    here, there = (
        {span.context.trace_id for span in exporter.get_finished_spans()} for exporter in exporters
    )
    assert here == there
    assert len(here) == kept if kept is not None else 25 < len(here) < 80


def test_what_replicas_report_every_few_seconds_is_no_trace(exporter):
    tracer = trace.get_tracer("ray.serve")
    tracer.start_span("route_to_replica", attributes={"deployment": "Registry"}).end()
    tracer.start_span("route_to_replica", attributes={"deployment": "Erase"}).end()
    [span] = exporter.get_finished_spans()
    assert span.attributes["deployment"] == "Erase"


class Counting(IdGenerator):
    """The same ids in each process, spread over the whole range."""

    def __init__(self):
        self.count = 0

    def generate_trace_id(self):
        self.count += 1
        return (self.count * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128

    def generate_span_id(self):
        return self.count + 1

    def is_trace_id_random(self):
        return True


@pytest.mark.parametrize(("exporter", "count"), [("none", 0), ("console", 1), ("otlp", 1)])
def test_the_environment_says_where_spans_go(monkeypatch, exporter, count):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", exporter)
    processors = span_processors()
    assert len(processors) == count
    for processor in processors:
        processor.shutdown()


def test_a_missing_package_costs_the_traces_and_not_the_service(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert span_processors() == []
    assert "inpaint-serve[traces]" in caplog.text


@pytest.mark.parametrize(("word", "ratio"), [("0.1", 0.1), ("7", 1.0), ("-1", 0.0), ("much", 1.0)])
def test_a_ratio_that_makes_no_sense_is_survived(monkeypatch, word, ratio):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", word)
    assert tracing._ratio() == ratio


def test_serve_accepts_the_factory(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    [processor] = _load_span_processors("serve_app.tracing:span_processors", "unused")
    assert isinstance(processor, Kept)
