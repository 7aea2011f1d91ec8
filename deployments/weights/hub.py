"""Hub repositories on disk: huggingface_hub's cache layout, read without huggingface_hub."""

import json
import os
import re
from pathlib import Path

from deployments.weights.hub_files import MODEL_INDEX, is_complete
from deployments.weights.layout import repository_folder
from inpaint.specs import HubRepository

UNFINISHED = ".inpaint-serve-unfinished"
"""In a repository's folder: we have begun to fetch it, and not ended."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


def find_snapshot(hub: Path, repository: HubRepository) -> Path | None:
    """The folder of the first complete snapshot among the repository and its mirrors."""
    folders = (repository_folder(hub, repo_id) for repo_id in repository.sources)
    snapshots = (complete_snapshot(folder, repository) for folder in folders)
    return next((snapshot for snapshot in snapshots if snapshot is not None), None)


def complete_snapshot(folder: Path, repository: HubRepository) -> Path | None:
    """The snapshot of the wanted revision below a repository's folder, if all of it is there."""
    snapshot = snapshot_of(folder, repository.revision)
    if snapshot is None or (folder / UNFINISHED).exists():
        return None
    files = files_of(snapshot)
    is_here = is_complete(files.keys(), repository, components_of(files.get(MODEL_INDEX)))
    return snapshot if is_here else None


def files_of(snapshot: Path) -> dict[str, Path]:
    """All files of a snapshot by their path in it; links that lead nowhere are no files."""
    found = (
        Path(folder, name)
        for folder, _, names in os.walk(snapshot, followlinks=True)
        for name in names
    )
    return {path.relative_to(snapshot).as_posix(): path for path in found if path.is_file()}


def components_of(index: Path | None) -> frozenset[str] | None:
    """Folders that a pipeline's model_index.json names; None for no, or no whole, index."""
    try:
        content = json.loads(index.read_text(encoding="utf-8")) if index else None
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    return frozenset(
        name
        for name, value in content.items()
        if isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) for v in value)
    )


def snapshot_of(folder: Path, revision: str) -> Path | None:
    """The snapshot of a branch or commit below a repository's folder, complete or not."""
    try:
        commit = (folder / "refs" / revision).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        commit = revision  # a commit has no reference
    snapshot = folder / "snapshots" / commit
    return snapshot if _COMMIT.fullmatch(commit) and snapshot.is_dir() else None
