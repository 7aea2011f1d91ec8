"""Known vulnerabilities of the versions in constraints.txt, as pip-audit finds them: `make audit`.

0: none, or only accepted ones; also where no advisory service is reached, which is told.
1: at least one that tools/accepted.yaml does not list.
2: the service answered and the audit failed all the same.
"""

import json
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
import yaml

ROOT = Path(__file__).parents[1]
SERVICE = "https://api.osv.dev/v1/query"
REACH_S, AUDIT_S = 5, 60
CLEAN, FOUND, UNFINISHED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One vulnerability of one version."""

    package: str
    version: str
    ids: tuple[str, ...]
    """Its name, and those that other databases have for it."""
    mended_in: tuple[str, ...]

    def __str__(self) -> str:
        remedy = f"mended in {', '.join(self.mended_in)}" if self.mended_in else "not mended yet"
        return f"{self.package} {self.version}: {', '.join(self.ids)}, {remedy}"


def main(arguments: Sequence[str]) -> int:
    """Audit and tell; gives the exit code."""
    parser = ArgumentParser(description="Known vulnerabilities of the pinned versions.")
    parser.add_argument("--service", default=SERVICE, help="an OSV service's query address")
    parser.add_argument("--constraints", type=Path, default=ROOT / "constraints.txt")
    parser.add_argument("--accepted", type=Path, default=ROOT / "tools" / "accepted.yaml")
    asked = parser.parse_args(arguments)
    accepted = read_accepted(asked.accepted)
    if not is_reached(asked.service):
        return _tell(CLEAN, f"no advisory service was reached at {asked.service}; nothing audited.")
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        try:
            failure = run(asked.constraints, asked.service, report)
        except subprocess.TimeoutExpired:
            return _tell(CLEAN, f"the service took longer than {AUDIT_S} s; nothing audited.")
        if not report.exists():
            return _tell(UNFINISHED, f"pip-audit failed: {failure}")
        findings = list(read_report(json.loads(report.read_text())))
    new = [finding for finding in findings if accepted.keys().isdisjoint(finding.ids)]
    if new:
        lines = "\n  ".join(map(str, new))
        return _tell(
            FOUND,
            f"{len(new)} known vulnerabilities. Move the versions in constraints.txt, or say in "
            f"{asked.accepted.name} why they do no harm here:\n  {lines}",
        )
    count = len(findings)
    return _tell(CLEAN, f"none known but {count} accepted." if count else "none known.")


def read_accepted(path: Path) -> Mapping[str, str]:
    """Reasons by the vulnerability's id.

    Raises:
        ValueError: an entry has no id, or no reason.
    """
    entries = yaml.safe_load(path.read_text())["accepted"] or []
    for entry in entries:
        if not entry.get("id") or not str(entry.get("reason") or "").strip():
            raise ValueError(f"{path.name}: every entry needs an id and a reason, not {entry}")
    return {entry["id"]: entry["reason"] for entry in entries}


def is_reached(service: str) -> bool:
    """Whether an OSV service answers there."""
    question: dict[str, Any] = {"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "0"}
    try:
        answer = requests.post(service, json=question, timeout=REACH_S)
        return answer.ok and isinstance(answer.json(), dict)
    except (requests.RequestException, ValueError):
        return False


def run(constraints: Path, service: str, report: Path) -> str:
    """Let pip-audit write its report; gives the last thing that it says."""
    done = subprocess.run(  # noqa: S603  our own arguments
        [
            *(sys.executable, "-m", "pip_audit", "--progress-spinner=off"),
            *("--requirement", str(constraints), "--no-deps", "--disable-pip"),
            *("--vulnerability-service", "osv", "--osv-url", service),
            *("--format", "json", "--output", str(report)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=AUDIT_S,
    )
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]


def read_report(report: Mapping[str, Any]) -> Iterator[Finding]:
    """What pip-audit found."""
    for package in report["dependencies"]:
        for entry in package.get("vulns", ()):
            ids = (entry["id"], *entry.get("aliases", ()))
            yield Finding(package["name"], package["version"], ids, tuple(entry["fix_versions"]))


def _tell(code: int, text: str) -> int:
    print(f"audit: {text}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
