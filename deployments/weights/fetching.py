"""Fetching what a model misses: every file, one writer at a time, then its hub repository."""

from pathlib import Path
from urllib.parse import urlsplit

from deployments.weights.disk import disk_errors
from deployments.weights.download import PATIENCE, Patience, Source, download, part_of
from deployments.weights.hub import find_snapshot
from deployments.weights.hub_download import fetch_repository
from deployments.weights.layout import lock_of, override_of, shown, source_of, stated_md5
from deployments.weights.locks import held
from deployments.weights.progress import OnProgress, Progress
from deployments.weights.store import WeightsStore
from inpaint.errors import DownloadError
from inpaint.specs import WeightFile, WeightsSpec


def fetch(
    spec: WeightsSpec,
    store: WeightsStore,
    on_progress: OnProgress,
    patience: Patience = PATIENCE,
) -> None:
    """Fetch whatever is missing of a model's weights. What is here already stays untouched.

    Where another process fetches the same, this waits until it has ended, telling how far that
    one is. Nothing is printed.

    Raises:
        DownloadError: it cannot be had; says why, and `context` what and where.
        ExtraMissingError: a hub repository needs the package huggingface_hub.
        WeightsCorruptError: a file that was here already is not the published one.
        WeightsMissingError: it is a file of the user's own, which nobody publishes.
    """
    if spec.path is not None and store.size_on_disk(spec) is None:
        raise store.missing(spec)
    for file in spec.weights:
        if store.find(file) is None:
            _fetch_file(file, store, on_progress, patience)
    repository = spec.repository
    if repository is not None and find_snapshot(store.hub, repository) is None:
        fetch_repository(repository, store.hub, on_progress)
    store.check(spec)


def _fetch_file(
    file: WeightFile, store: WeightsStore, on_progress: OnProgress, patience: Patience
) -> None:
    url, target = override_of(file) or file.url, store.target(file)
    if urlsplit(url).scheme not in {"http", "https"}:
        raise DownloadError(
            f"{file.env}_MODEL_URL names neither a file that is there nor an http(s) address.",
            {"url": shown(url)},
        )

    def tell_of_other() -> None:
        on_progress(Progress(target.name, _size(part_of(target)), None, is_elsewhere=True))

    with disk_errors(target), held(lock_of(target), tell_of_other):
        if not target.is_file():
            source = Source(url, stated_md5(file), source_of(file))
            digest = download(source, target, on_progress, patience)
            store.digests.remember(target, digest)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
