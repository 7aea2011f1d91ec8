"""The one owner of what ingress replicas share. Small, without CPU share, and replaceable."""

import time

from inpaint.reports import ReplicaReport, ServiceState

REPORT_LIFETIME_S = 45.0
"""A replica reports at every load and at every health check (10 s); three missed ones are lost."""


class Registry:
    """Collects reports of replicas and answers with their sum.

    Everything here can be lost without losing a request: after a restart the reports come in
    again within one health check period.
    """

    def __init__(self) -> None:
        self._reports: dict[str, tuple[float, ReplicaReport]] = {}

    async def report(self, report: ReplicaReport) -> None:
        """Take note of what a replica holds now."""
        self._reports[report.replica] = (time.monotonic(), report)

    async def state(self) -> ServiceState:
        """The sum of all reports that are not too old."""
        oldest = time.monotonic() - REPORT_LIFETIME_S
        self._reports = {name: entry for name, entry in self._reports.items() if entry[0] > oldest}
        holding: dict[str, int] = {}
        for _, report in self._reports.values():
            for model in report.loaded:
                holding[model] = holding.get(model, 0) + 1
        return ServiceState(holding)
