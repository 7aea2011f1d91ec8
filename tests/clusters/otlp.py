"""A collector of OpenTelemetry traces: what an exporter sends it over HTTP, it keeps."""

import gzip
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """What came of one span."""

    trace: str
    id: str
    parent: str
    """Empty for the first span of a trace."""
    name: str
    attributes: dict[str, object]


class Collector(ThreadingHTTPServer):
    """Listens on a free port of this machine."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self._spans = []
        self._lock = Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self, trace=None):
        """All spans, or those of one trace."""
        with self._lock:
            return [span for span in self._spans if trace in (None, span.trace)]

    def take(self, body):
        asked = ExportTraceServiceRequest.FromString(body)
        spans = [
            Span(
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                span.name,
                {one.key: _value(one.value) for one in span.attributes},
            )
            for resource in asked.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self._spans += spans


def _value(value):
    return getattr(value, value.WhichOneof("value"))


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self):
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.take(body)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def collector():
    """One that runs while the block does."""
    with Collector() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
