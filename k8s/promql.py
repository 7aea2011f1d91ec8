"""The few shapes of PromQL that the dashboard's panels are made of."""

from dataclasses import dataclass, replace

WINDOW = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Query:
    """A query, and what its lines are called."""

    expr: str
    legend: str
    """Labels stand in {{}}."""

    def named(self, legend: str) -> "Query":
        """The same query under another legend."""
        return replace(self, legend=legend)


def rate(metric: str, labels: str, by: str) -> Query:
    """Events a second of a counter."""
    return _query(f"sum by ({by}) (rate({metric}{{{labels}}}[{WINDOW}]))", by)


def total(gauge: str, labels: str, by: str) -> Query:
    """Sum of a gauge."""
    return _query(f"sum by ({by}) ({gauge}{{{labels}}})", by)


def positive(gauge: str, labels: str, by: str) -> Query:
    """How many lines of a gauge are above zero."""
    return _query(f"count by ({by}) ({gauge}{{{labels}}} > 0)", by)


def quantile(share: float, histogram: str, labels: str, by: str) -> Query:
    """A quantile of a histogram; `share` is 0 to 1."""
    buckets = rate(f"{histogram}_bucket", labels, f"le, {by}")
    return _query(f"histogram_quantile({share:g}, {buckets.expr})", by)


def mean(histogram: str, labels: str, by: str) -> Query:
    """The mean of a histogram. Of Ray's it is exact only where a bucket has one possible value."""
    parts = (rate(f"{histogram}_{part}", labels, by).expr for part in ("sum", "count"))
    return _query(" / ".join(parts), by)


def share(counter: str, of_labels: str, labels: str) -> Query:
    """What part of a counter's events has `of_labels` as well."""
    part, whole = (
        f"sum(rate({counter}{{{chosen}}}[{WINDOW}]))"
        for chosen in (f"{labels}, {of_labels}", labels)
    )
    return Query(f"{part} / {whole}", of_labels)


def _query(expr: str, by: str) -> Query:
    return Query(expr, " ".join(f"{{{{{label}}}}}" for label in by.split(", ")))
