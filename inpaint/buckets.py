"""Bounds of the histograms that the edge and the replicas report alike; docs/observability.md."""

SECONDS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 300.0, 600.0),
)
"""From 1 ms, a plan, to 10 min, twice what a request may take unless `max_timeout_s` is raised.

Each bound is at most 2.5 times the one before it, and so is a quantile's error at the worst.
"""
