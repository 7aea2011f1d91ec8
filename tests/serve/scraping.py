"""What a running cluster exports, as Prometheus would read it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import ray
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Scrape:
    """The samples of every node at one moment: name, tags, value."""

    samples: Sequence[tuple[str, dict[str, str], float]]

    @property
    def names(self) -> set[str]:
        return {name for name, _, _ in self.samples}

    def of(self, name, **tags):
        """Tags and values of the series that have all of `tags`."""
        return [
            (found, value)
            for series, found, value in self.samples
            if series == name and tags.items() <= found.items()
        ]

    def sum(self, name, **tags):
        return sum(value for _, value in self.of(name, **tags))

    @property
    def counters(self):
        """Sums of this project's own counters, by name."""
        ours = {
            name
            for name in self.names
            if name.startswith("ray_inpaint_") and name.endswith("_total")
        }
        return {name: self.sum(name) for name in ours}

    def tags_of(self, name):
        return {tag for found, _ in self.of(name) for tag in found}


def scrape():
    """Ask the metrics port of every node; where it listens, the cluster's own list says."""
    samples = []
    for node in ray.nodes():
        if node["Alive"]:
            url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
            text = httpx.get(url, timeout=10, trust_env=False).raise_for_status().text
            for family in text_string_to_metric_families(text):
                samples += [(one.name, one.labels, one.value) for one in family.samples]
    return Scrape(samples)


def scrape_at_rest(rest_s=8.0, limit_s=60.0):
    """A scrape that holds what went before: no counter of ours has moved for `rest_s`.

    Processes export one after the other, seconds after they counted (3 s in these tests).
    """
    end = time.monotonic() + limit_s
    found = scrape()
    since = time.monotonic()
    while time.monotonic() < since + rest_s:
        if time.monotonic() > end:
            raise TimeoutError("counters still move, though nobody asks for anything")
        time.sleep(1)
        latest = scrape()
        if latest.counters != found.counters:
            since = time.monotonic()
        found = latest
    return found
