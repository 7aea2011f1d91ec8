"""Fetching a hub repository with huggingface_hub, which knows the hub's layout, tokens and xet."""

import glob
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deployments.weights.disk import FULL, disk_errors
from deployments.weights.hub import UNFINISHED, complete_snapshot, components_of, files_of
from deployments.weights.hub_files import MODEL_INDEX, wanted_files
from deployments.weights.layout import lock_of, repository_folder
from deployments.weights.locks import held
from deployments.weights.progress import OnProgress, Progress
from inpaint.errors import DownloadError, ExtraMissingError
from inpaint.specs import HubRepository

WORKERS = 4
"""Files that are fetched at once."""
ABANDONED_S = 3600.0
"""A piece that nobody has written to for so long belongs to a download that was killed."""


class _GoneError(Exception):
    """The hub has no such repository, or keeps it to itself."""


def fetch_repository(repository: HubRepository, hub: Path, on_progress: OnProgress) -> None:
    """Fetch what a loader reads of a repository, or of its first mirror that is still there.

    The hub is that of HF_ENDPOINT; tokens, proxies and timeouts are huggingface_hub's own.

    Raises:
        DownloadError: none of them can be had.
        ExtraMissingError: huggingface_hub is not installed.
    """
    if find_spec("huggingface_hub") is None:
        raise ExtraMissingError(
            f"Fetching {repository.repo_id} needs the package huggingface_hub: "
            "pip install huggingface_hub on the server."
        )
    for repo_id in repository.sources:
        folder = repository_folder(hub, repo_id)
        waiting = Progress(repo_id, 0, None, is_elsewhere=True)
        try:
            with disk_errors(folder), held(lock_of(folder), partial(on_progress, waiting)):
                if complete_snapshot(folder, repository) is None:
                    _fetch(repo_id, repository, folder, on_progress)
            return
        except _GoneError:
            continue
    raise DownloadError(
        f"The hub has none of {', '.join(repository.sources)}, or shows them only to those who "
        "have accepted their terms: do so on its page, and set HF_TOKEN.",
        {"endpoint": os.environ.get("HF_ENDPOINT", "")},
    )


def _fetch(repo_id: str, repository: HubRepository, folder: Path, on_progress: OnProgress) -> None:
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.hf_api import RepoFile

    place: dict[str, Any] = {
        "repo_id": repo_id,
        "revision": repository.revision,
        "cache_dir": folder.parent,
        "endpoint": os.environ.get("HF_ENDPOINT"),
    }
    with _hub_errors(repo_id, folder):
        listed = HfApi(endpoint=place["endpoint"]).list_repo_tree(
            repo_id, recursive=True, revision=repository.revision
        )
        sizes = {entry.path: entry.size for entry in listed if isinstance(entry, RepoFile)}
        folder.mkdir(parents=True, exist_ok=True)
        _drop_abandoned(folder)
        unfinished = folder / UNFINISHED
        unfinished.touch()
        index = hf_hub_download(filename=MODEL_INDEX, **place) if MODEL_INDEX in sizes else None
        names = wanted_files(sizes, repository, components_of(Path(index) if index else None))
        here = files_of(folder / "snapshots")
        counted = _Counted(repo_id, {name: sizes[name] for name in names}, here, on_progress)
        counted.begin()
        snapshot_download(
            allow_patterns=[glob.escape(name) for name in names],
            max_workers=WORKERS,
            tqdm_class=counted.bar_class(),
            **place,
        )
        unfinished.unlink()
    if complete_snapshot(folder, repository) is None:
        unfinished.touch()
        raise DownloadError(
            f"The repository {repo_id} holds no weights that a loader here reads.",
            {"files": len(sizes)},
        )
    counted.end()


class _Counted:
    """Sums up the pieces of all files into one Progress.

    Args:
        repo_id: what the progress is called.
        sizes: bytes of every file that is wanted.
        here: files of earlier downloads, by "<commit>/<path>".
        on_progress: told of every piece, by one thread at a time.
    """

    def __init__(
        self,
        repo_id: str,
        sizes: Mapping[str, int],
        here: Mapping[str, Path],
        on_progress: OnProgress,
    ) -> None:
        names = {path.partition("/")[2] for path in here}
        self._repo_id = repo_id
        self._total = sum(sizes.values())
        self._before = sum(size for name, size in sizes.items() if name in names)
        self._arrived: dict[int, float] = {}
        self._on_progress = on_progress
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Tell what was here before."""
        self._on_progress(Progress(self._repo_id, self._before, self._total))

    def add(self, bar: int, count: float) -> None:
        """Take note of bytes on one of the bars: one counts the network, one the disk."""
        with self._lock:
            self._arrived[bar] = self._arrived.get(bar, 0) + count
            done = min(self._before + int(max(self._arrived.values())), self._total)
            self._on_progress(Progress(self._repo_id, done, self._total))

    def end(self) -> None:
        """Everything is here."""
        self._on_progress(Progress(self._repo_id, self._total, self._total))

    def bar_class(self) -> type:
        """A tqdm that draws nothing and counts what bars in bytes are told."""
        from tqdm.std import tqdm

        counted = self

        class SilentBar(tqdm):  # type: ignore[misc]
            def __init__(self, *args: Any, **options: Any) -> None:
                self._counts_bytes = options.get("unit") == "B"
                super().__init__(*args, **(options | {"disable": True}))

            def update(self, n: float | None = 1) -> bool | None:
                if self._counts_bytes and n:
                    self.n += n
                    counted.add(id(self), n)
                return None

        return SilentBar


def _drop_abandoned(folder: Path) -> None:
    """Give the room back that a killed download holds: huggingface_hub does not go on with it."""
    for piece in (folder / "blobs").glob("*.incomplete"):
        if time.time() - piece.stat().st_mtime > ABANDONED_S:
            piece.unlink(missing_ok=True)


@contextmanager
def _hub_errors(repo_id: str, folder: Path) -> Iterator[None]:
    """Ours, or _GoneError, for what huggingface_hub raises, whose texts hold addresses."""
    from huggingface_hub import errors

    try:
        yield
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise _GoneError from error
    except errors.OfflineModeIsEnabled as error:
        raise _failed(repo_id, "HF_HUB_OFFLINE is set") from error
    except errors.HfHubHTTPError as error:
        raise _failed(repo_id, f"it answered {error.response.status_code}") from error
    except Exception as error:  # the edge of foreign code
        if isinstance(error, OSError) and _is_about_the_disk(error):
            if error.errno in FULL:
                for piece in (folder / "blobs").glob("*.incomplete"):
                    piece.unlink(missing_ok=True)
            raise
        raise _failed(repo_id, "it cannot be reached, or ended the connection") from error


def _is_about_the_disk(error: OSError) -> bool:
    return error.errno is not None and not isinstance(error, ConnectionError | TimeoutError)


def _failed(repo_id: str, reason: str) -> DownloadError:
    return DownloadError(
        f"The repository {repo_id} could not be fetched from the hub: {reason}.",
        {"repository": repo_id, "endpoint": os.environ.get("HF_ENDPOINT", "")},
    )
