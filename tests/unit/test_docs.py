"""Documents that would go stale in silence."""

import re
import tomllib
from pathlib import Path

from ray.util.metrics import Counter, Gauge, Histogram, Metric

from deployments.metrics import DownloadMetrics, LastingGauge, ReplicaMetrics
from inpaint.errors import InpaintError
from inpaint.settings import (
    AppArgs,
    DiffusionConfig,
    EraseConfig,
    FamilyArgs,
    IngressConfig,
    IOPaintArgs,
    OcrConfig,
    SocketArgs,
)
from serve_app.metrics import EdgeMetrics

ROOT = Path(__file__).parents[2]
SETTINGS = (AppArgs, FamilyArgs, IOPaintArgs, EraseConfig, DiffusionConfig, OcrConfig,
            IngressConfig, SocketArgs)  # fmt: skip


def all_errors(base=InpaintError):
    return [base, *(error for sub in base.__subclasses__() for error in all_errors(sub))]


def rows(document):
    """Cells of every table row of a page of docs/."""
    text = (ROOT / "docs" / document).read_text()
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_problem_is_documented_with_its_status():
    documented = {row[0].strip("`"): int(row[1]) for row in rows("problems.md")}
    assert documented == {error.code: error.status for error in all_errors()}


def test_every_setting_is_documented():
    documented = {
        name for row in rows("configuration.md") for name in re.findall(r"`(\w+)`", row[0])
    }
    settings = {name for model in SETTINGS for name in model.model_fields} - {"families"}
    assert settings <= documented


def test_every_metric_is_documented_with_its_type_and_tags():
    made = [*vars(EdgeMetrics()).values(), *vars(ReplicaMetrics("Erase")).values()]
    made += vars(DownloadMetrics()).values()
    metrics = [getattr(one, "ray", one) for one in made if isinstance(one, Metric | LastingGauge)]
    documented = {
        row[0].strip("`"): (row[1], tuple(re.findall(r"`(\w+)`", row[2])))
        for row in rows("observability.md")
        if row[0].startswith("`ray_inpaint_")
    }
    assert documented == {series_of(metric): facts_of(metric) for metric in metrics}


def series_of(metric):
    """What Ray calls it on the wire."""
    return f"ray_{metric.info['name']}" + ("_total" if isinstance(metric, Counter) else "")


def facts_of(metric):
    kinds = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
    return next(kinds[kind] for kind in kinds if isinstance(metric, kind)), metric.info["tag_keys"]


def test_changelog_starts_with_the_packages_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    first = re.search(r"^## \[?([\d.]+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert first is not None
    assert first[1] == version


def test_every_direct_dependency_is_explained():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    named = {
        re.split(r"[\[<>=~]", requirement)[0].lower()
        for requirements in (project["dependencies"], *extras)
        for requirement in requirements
    } - {"inpaint-serve"}
    text = (ROOT / "docs" / "dependencies.md").read_text().lower()
    assert not {name for name in named if name not in text}


def test_links_between_pages_lead_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    broken = {
        (page.name, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)", page.read_text())
        if not target.startswith("http") and not (page.parent / target).exists()
    }
    assert not broken
