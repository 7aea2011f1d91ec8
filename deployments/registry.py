"""The one owner of what ingress replicas share. Small, without CPU share, and replaceable."""

import time

from inpaint.reports import Download, ReplicaReport, ServiceState, furthest

REPORT_LIFETIME_S = 45.0
"""A replica reports at every load and at every health check (10 s); three missed ones are lost."""


class Registry:
    """Collects reports of replicas and answers with their sum.

    Everything here can be lost without losing a request: after a restart the reports come in
    again within one health check period, and the default model is the config's.
    """

    def __init__(self) -> None:
        self._reports: dict[str, tuple[float, ReplicaReport]] = {}
        self._default_model: str | None = None

    async def report(self, report: ReplicaReport) -> None:
        """Take note of what a replica holds now."""
        self._reports[report.replica] = (time.monotonic(), report)

    async def choose_default(self, name: str) -> None:
        """Make a model the default of all ingress replicas; of two at once the later call wins."""
        self._default_model = name

    async def state(self) -> ServiceState:
        """The sum of all reports that are not too old."""
        oldest = time.monotonic() - REPORT_LIFETIME_S
        self._reports = {name: entry for name, entry in self._reports.items() if entry[0] > oldest}
        holding: dict[str, int] = {}
        downloads: dict[str, Download] = {}
        for _, report in self._reports.values():
            for model in report.loaded:
                holding[model] = holding.get(model, 0) + 1
            for download in report.downloads:
                known = downloads.get(download.model, download)
                downloads[download.model] = furthest([known, download])
        return ServiceState(holding, self._default_model, downloads)
