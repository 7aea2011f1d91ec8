"""What the Grafana dashboard shows. docs/observability.md says what the metrics mean."""

from dataclasses import dataclass

from k8s.promql import Query, mean, positive, quantile, rate, share, total

CLUSTER = 'ray_io_cluster=~"$cluster"'
FAMILY = f'{CLUSTER}, family=~"$family"'
DEPLOYMENT = f'{CLUSTER}, deployment=~"$family"'
INGRESS = f'{CLUSTER}, deployment="Ingress"'
NO_PROBES = f'{FAMILY}, route!~"/healthz|/readyz"'
BUSY = f'{FAMILY}, code=~"overloaded|rate-limited|warming-up|out-of-memory"'
REPLICAS = f'{CLUSTER}, Component=~"ray::ServeReplica.*"'

OF_MODEL = "family, model"

REQUESTS = "ray_inpaint_requests_total"
ERRORS = "ray_inpaint_errors_total"
REQUEST_SECONDS = "ray_inpaint_request_seconds"
STAGE_SECONDS = "ray_inpaint_stage_seconds"
FORWARD_SECONDS = "ray_inpaint_forward_seconds"
LOAD_SECONDS = "ray_inpaint_model_load_seconds"
HELD_BYTES = "ray_inpaint_model_held_bytes"
ONGOING = "ray_serve_num_ongoing_requests_at_replicas"


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart over time."""

    title: str
    queries: tuple[Query, ...]
    unit: str
    """Grafana's name of it."""
    about: str


def chart(title: str, *queries: Query, unit: str = "short", about: str = "") -> Panel:
    """A panel of one or several queries."""
    return Panel(title, queries, unit, about)


TRAFFIC = (
    chart("Requests by route", rate(REQUESTS, FAMILY, "route"), unit="reqps"),
    chart("Requests by model", rate(REQUESTS, FAMILY, "model"), unit="reqps"),
    chart("Answers by status", rate(REQUESTS, FAMILY, "status"), unit="reqps"),
    chart(
        "Share of answers 5xx",
        share(REQUESTS, 'status=~"5.."', FAMILY).named("5xx"),
        unit="percentunit",
        about="503 is among them: a full queue answers it on purpose.",
    ),
    chart(
        "Errors by code",
        rate(ERRORS, FAMILY, "code"),
        unit="reqps",
        about="The codes are those of docs/problems.md.",
    ),
    chart(
        "Bytes in and out",
        rate("ray_inpaint_received_bytes_total", CLUSTER, "deployment").named("in"),
        rate("ray_inpaint_sent_bytes_total", CLUSTER, "deployment").named("out"),
        unit="Bps",
    ),
)
LATENCY = (
    chart(
        "Request time",
        *(
            quantile(part, REQUEST_SECONDS, NO_PROBES, "deployment").named(f"p{100 * part:g}")
            for part in (0.5, 0.95, 0.99)
        ),
        unit="s",
    ),
    chart("Request time, p95", quantile(0.95, REQUEST_SECONDS, FAMILY, OF_MODEL), unit="s"),
    chart("Request time, p95", quantile(0.95, REQUEST_SECONDS, FAMILY, "route"), unit="s"),
    chart(
        "Stages, p50",
        quantile(0.5, STAGE_SECONDS, FAMILY, "stage"),
        unit="s",
        about="queue and forward lie within models.",
    ),
    chart(
        "Stages, p95",
        quantile(0.95, STAGE_SECONDS, FAMILY, "stage"),
        unit="s",
        about="queue and forward lie within models.",
    ),
    chart(
        "Forward, p95",
        quantile(0.95, FORWARD_SECONDS, FAMILY, OF_MODEL),
        unit="s",
        about="On the replica; of diffusion models the whole run.",
    ),
)
FAMILIES = (
    chart(
        "Ongoing requests",
        total(ONGOING, DEPLOYMENT, "deployment"),
        about="Running, or accepted by a replica. This is what autoscaling looks at.",
    ),
    chart(
        "Requests in queues",
        total("ray_serve_deployment_queued_queries", DEPLOYMENT, "deployment"),
        about="Not yet accepted by a replica; refused above max_queued_requests.",
    ),
    chart(
        "Replicas",
        total("ray_serve_deployment_replica_healthy", DEPLOYMENT, "deployment"),
        total("ray_serve_autoscaling_target_replicas", DEPLOYMENT, "deployment").named(
            "{{deployment}} wanted"
        ),
    ),
    chart(
        "Wait for the device, p95",
        quantile(0.95, "ray_inpaint_queue_seconds", FAMILY, "family"),
        unit="s",
        about="On the replica, with the model loaded.",
    ),
    chart(
        "Tiles that wait on replicas",
        total("ray_inpaint_batch_queue_length", FAMILY, "family"),
        about="Of families that erase; sampled every 10 s.",
    ),
    chart("Tiles in a forward, mean", mean("ray_inpaint_batch_items", FAMILY, "family")),
    chart("Forwards", rate(f"{FORWARD_SECONDS}_count", FAMILY, "family"), unit="ops"),
    chart(
        "Waits for a cold family",
        rate("ray_inpaint_cold_wait_seconds_count", FAMILY, "family, outcome"),
        unit="reqps",
        about="Where nodes may come and no replica runs: it was ready in time, or refused.",
    ),
    chart(
        "Start of a replica, p95",
        quantile(0.95, "ray_serve_replica_startup_latency_ms", DEPLOYMENT, "deployment"),
        unit="ms",
        about="Placement and construction; models load later, at their first request.",
    ),
)
MODELS = (
    chart(
        "Memory of loaded models",
        total(HELD_BYTES, FAMILY, OF_MODEL),
        unit="bytes",
        about="As their catalog entries state it, over all replicas; max_loaded_mb bounds each.",
    ),
    chart("Loaded models", positive(HELD_BYTES, FAMILY, "family")),
    chart("Loads", rate(f"{LOAD_SECONDS}_count", FAMILY, OF_MODEL), unit="ops"),
    chart("Load, p95", quantile(0.95, LOAD_SECONDS, FAMILY, OF_MODEL), unit="s"),
    chart(
        "Evictions",
        rate("ray_inpaint_model_evictions_total", FAMILY, OF_MODEL),
        unit="ops",
        about="As many as loads: max_loaded_mb is too small for the models that are asked for.",
    ),
    chart(
        "Failed loads and forwards",
        rate("ray_inpaint_model_failures_total", FAMILY, "model, work, code"),
        unit="ops",
    ),
    chart(
        "Calls whose caller has gone",
        rate("ray_inpaint_cancelled_runs_total", FAMILY, OF_MODEL),
        unit="ops",
    ),
    chart(
        "Weights that arrive",
        rate("ray_inpaint_downloaded_bytes_total", CLUSTER, "model"),
        unit="Bps",
    ),
    chart(
        "Fetches of weights",
        rate("ray_inpaint_downloads_total", CLUSTER, "model, outcome"),
        unit="ops",
    ),
)
EDGE = (
    chart(
        "Running requests",
        total(ONGOING, INGRESS, "deployment").named("ingress"),
        total("ray_serve_num_ongoing_http_requests", CLUSTER, "NodeAddress").named(
            "proxy {{NodeAddress}}"
        ),
    ),
    chart(
        "Event loops, p99",
        quantile(
            0.99,
            "ray_serve_event_loop_scheduling_latency_ms",
            CLUSTER,
            "component, deployment, loop_type",
        ),
        unit="ms",
        about="How late a loop comes to what is due. Much in the ingress: something blocks it.",
    ),
    chart(
        "Back-pressure",
        rate(ERRORS, BUSY, "family, code"),
        unit="reqps",
        about="Refused because there was too much to do, with Retry-After.",
    ),
    chart(
        "Retries",
        rate("ray_inpaint_retries_total", FAMILY, "family"),
        unit="ops",
        about="A replica died with a request's work, which was asked for again.",
    ),
    chart(
        "Replicas started, health checks failed",
        rate("ray_serve_deployment_replica_starts_total", CLUSTER, "deployment").named(
            "{{deployment}} started"
        ),
        rate("ray_serve_health_check_failures_total", CLUSTER, "deployment").named(
            "{{deployment}} failed"
        ),
        unit="ops",
    ),
    chart(
        "Errors that Serve's proxies answered",
        rate("ray_serve_num_http_error_requests_total", CLUSTER, "error_code"),
        unit="reqps",
        about="Ours, and what a proxy answers by itself while no ingress replica is there.",
    ),
    chart(
        "Resident memory of replicas",
        total("ray_component_rss_bytes", REPLICAS, "Component"),
        unit="bytes",
    ),
    chart(
        "Object store in use",
        total("ray_object_store_used_memory", CLUSTER, "NodeAddress"),
        unit="bytes",
        about="Tiles on their way; goes back to almost nothing when nobody asks.",
    ),
)
ROWS = {
    "Traffic and errors": TRAFFIC,
    "Latency by stage": LATENCY,
    "Families": FAMILIES,
    "Models": MODELS,
    "Edge": EDGE,
}
