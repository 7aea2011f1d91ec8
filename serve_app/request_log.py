"""One line in the log for each request; see docs/observability.md."""

import logging

from serve_app.accounts import Account

QUIET = frozenset({"/healthz", "/readyz"})
"""Probes ask every few seconds: what they are told is logged when it is bad news."""

logger = logging.getLogger("ray.serve")


def log_request(account: Account) -> None:
    """Write the line of a request that has ended; the request's id is added by Serve's filter.

    Serve writes its facts into a text log by the message, into a JSON log as fields of their own.
    """
    is_quiet = account.route in QUIET and account.status < 400
    logger.log(
        logging.DEBUG if is_quiet else logging.INFO,
        "%s %s %d ms=%.1f in=%d out=%d family=%s model=%s error=%s",
        account.method,
        account.route,
        account.status,
        account.duration_ms,
        account.received,
        account.sent,
        account.family or "-",
        account.model or "-",
        account.error or "-",
        extra=facts(account),
    )


def facts(account: Account) -> dict[str, object]:
    """The fields of a JSON line; absent ones are left out."""
    known = {
        "http_method": account.method,
        "http_route": account.route,
        "status": account.status,
        "duration_ms": round(account.duration_ms, 1),
        "bytes_in": account.received,
        "bytes_out": account.sent,
        "family": account.family,
        "model": account.model,
        "tiles": account.tiles,
        "error": account.error,
        "stages_ms": {name: round(ms, 1) for name, ms in account.timings.stages.items()},
    }
    always = {"status", "duration_ms", "bytes_in", "bytes_out"}
    return {name: value for name, value in known.items() if value or name in always}
