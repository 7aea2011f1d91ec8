"""What becomes of requests at the edge, as metrics of Ray Serve; docs/observability.md lists them.

Serve adds the tags `deployment`, `replica` and `application`. Every value of a tag is the pattern
of a route, a name from the config or the catalog, a stage, a status or a code, so that their number
is bounded whatever clients send.
"""

from ray.serve.metrics import Counter, Histogram

from inpaint.buckets import SECONDS
from serve_app.accounts import Account
from serve_app.capacity import ColdOutcome

NONE = "none"
"""Family and model of a request that asks none, or that was refused before they were known."""


class EdgeMetrics:
    """Metrics of one ingress replica. Made on the replica: only there Serve's own tags are known.

    A record takes microseconds, and all of a request's are made at its end, when its answer has
    been sent.
    """

    def __init__(self) -> None:
        self._requests = Counter(
            "inpaint_requests",
            "Requests that have ended, by the status of their answer; 499: the client had gone.",
            ("route", "family", "model", "status"),
        )
        self._errors = Counter(
            "inpaint_errors",
            "Requests that ended with an error, by its code; see docs/problems.md.",
            ("route", "family", "code"),
        )
        self._request_seconds = Histogram(
            "inpaint_request_seconds",
            "Time from a request's headers to the last byte of its answer.",
            SECONDS,
            ("route", "family", "model"),
        )
        self._stage_seconds = Histogram(
            "inpaint_stage_seconds",
            "Time that a request spent in one stage, as Server-Timing tells it.",
            SECONDS,
            ("family", "stage"),
        )
        self._received = Counter(
            "inpaint_received_bytes", "Bytes of the bodies of requests.", ("route",)
        )
        self._sent = Counter("inpaint_sent_bytes", "Bytes of the bodies of answers.", ("route",))
        self._retries = Counter(
            "inpaint_retries",
            "Times that a request's lost work was asked for again, its replica having died.",
            ("family",),
        )
        self._cold_wait_seconds = Histogram(
            "inpaint_cold_wait_seconds",
            "Time that a request waited for a family without replicas: until one was ready, or "
            "until it was refused.",
            SECONDS,
            ("family", "outcome"),
        )

    def settled(self, account: Account) -> None:
        """Record a request that has ended; see serve_app/accounts.py."""
        route = {"route": account.route}
        family = {"family": account.family or NONE}
        model = {"model": account.model or NONE}
        self._requests.inc(1, {**route, **family, **model, "status": str(account.status)})
        self._request_seconds.observe(account.duration_ms / 1e3, {**route, **family, **model})
        for stage, ms in account.timings.stages.items():
            self._stage_seconds.observe(ms / 1e3, {**family, "stage": stage})
        if account.error:
            self._errors.inc(1, {**route, **family, "code": account.error})
        if account.received:
            self._received.inc(account.received, route)
        if account.sent:
            self._sent.inc(account.sent, route)
        if account.retries:
            self._retries.inc(account.retries, family)

    def waited(self, family: str, seconds: float, outcome: ColdOutcome) -> None:
        """Record a wait for a family without replicas; see serve_app/capacity.py."""
        self._cold_wait_seconds.observe(seconds, {"family": family, "outcome": outcome})
