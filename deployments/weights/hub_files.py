"""Which files of a hub repository a loader reads: pure functions over lists of paths.

Follows the naming of diffusers and transformers: a pipeline has `model_index.json` and a folder
for each component; a folder's weights are `<stem>[.<variant>][-00001-of-0000N].<format>`, or the
variant comes after the number of the shard.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from inpaint.specs import HubRepository

MODEL_INDEX = "model_index.json"
FORMATS = ("safetensors", "bin")
"""The second only where there is no first: it is a pickle."""

_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
_WEIGHTS = re.compile(
    rf"(?:{'|'.join(_STEMS)})(?:\.(?P<before>\w+))?(?:-(?P<shard>\d+)-of-(?P<shards>\d+))?"
    rf"(?:\.(?P<after>\w+))?\.(?P<format>{'|'.join(FORMATS)})"
)
_INDEX = re.compile(
    rf"(?:{'|'.join(_STEMS)})\.(?P<format>{'|'.join(FORMATS)})\.index(?:\.(?P<variant>\w+))?\.json"
)
_SETTINGS = frozenset({".json", ".txt", ".model"})
"""Configs, vocabularies and SentencePiece models: small, and read by every loader."""
_CONFIGS = ("config.json", "scheduler_config.json", "tokenizer_config.json",
            "preprocessor_config.json")  # fmt: skip
_VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",),
                 ("vocab.txt",))  # fmt: skip

Choice = tuple[str, str | None]
"""Format and variant of a folder's weights."""


def wanted_files(
    paths: Iterable[str], repository: HubRepository, components: Collection[str] | None
) -> list[str]:
    """What to fetch of a repository that holds `paths`.

    One set of weights a folder: safetensors before pickles, the preferred variant before the full
    weights; no ONNX, Flax, TensorFlow, pictures, code, or single-file checkpoints.

    Args:
        paths: of all files, with "/".
        repository: what is asked for.
        components: folders that the pipeline's model_index.json names; None for no pipeline, whose
            folders are all taken that the patterns allow.
    """
    folders = _by_folder(path for path in paths if _is_allowed(path, repository))
    here = {path for members in folders.values() for path in members.values()}
    chosen = here.intersection(_named(repository))
    read = {"", *(components or ()), *_folders(repository)}
    for folder, members in folders.items():
        if components is None or folder in read:
            chosen.update(_of_folder(folder, members, repository, components is not None))
    return sorted(chosen)


def is_complete(
    paths: Collection[str], repository: HubRepository, components: Collection[str] | None
) -> bool:
    """Whether `paths`, the files of a snapshot on disk, are all that a loader reads.

    A snapshot that another program has fetched brings no list of what belongs to it, so this
    looks for what no loader can do without: in every component, and in every folder that is asked
    for by name, a config, whole weights where it is a network, a vocabulary where it is a
    tokenizer.
    """
    if not set(_named(repository)).issubset(paths):
        return False
    folders = _by_folder(paths)
    asked_for = set(_folders(repository))
    if components is None and not asked_for:
        is_network = "config.json" in folders.get("", {})
        return _has_weights(folders[""], repository) if is_network else bool(_named(repository))
    held = (component for component in components or () if _may_hold(component, repository))
    return all(_is_whole(part, folders.get(part, {}), repository) for part in {*asked_for, *held})


def _of_folder(
    folder: str, members: Mapping[str, str], repository: HubRepository, is_pipeline: bool
) -> Iterator[str]:
    """What to fetch of one folder; `members` are its files' names and paths."""
    choice = None if is_pipeline and folder == "" else best_choice(members, repository.variant)
    for name, path in members.items():
        index = _INDEX.fullmatch(name)
        if index:
            if choice == (index["format"], index["variant"]):
                yield path
        elif _WEIGHTS.fullmatch(name):
            if choice == _choice(name):
                yield path
        elif PurePosixPath(name).suffix in _SETTINGS:
            yield path


def best_choice(names: Iterable[str], variant: str | None) -> Choice | None:
    """The best weights among a folder's files of which every shard is there.

    Args:
        names: of the folder's files.
        variant: preferred to the full weights.
    """
    shards: dict[Choice, tuple[set[int], int]] = {}
    for name in names:
        match = _WEIGHTS.fullmatch(name)
        choice = _choice(name)
        if match and choice:
            numbers, _ = shards.setdefault(choice, (set(), 0))
            numbers.add(int(match["shard"] or 1))
            shards[choice] = (numbers, int(match["shards"] or 1))
    whole = {
        choice
        for choice, (numbers, count) in shards.items()
        if numbers.issuperset(range(1, count + 1))
    }
    variants = dict.fromkeys((variant, None))
    order = ((format, variant) for format in FORMATS for variant in variants)
    return next((choice for choice in order if choice in whole), None)


def _choice(name: str) -> Choice | None:
    match = _WEIGHTS.fullmatch(name)
    return (match["format"], match["before"] or match["after"]) if match else None


def _has_weights(names: Iterable[str], repository: HubRepository) -> bool:
    return best_choice(names, repository.variant) is not None


def _is_whole(component: str, names: Mapping[str, str], repository: HubRepository) -> bool:
    if not any(config in names for config in _CONFIGS):
        return False
    if component.startswith("tokenizer"):
        return any(set(files).issubset(names) for files in _VOCABULARIES)
    return "config.json" not in names or _has_weights(names, repository)


def _by_folder(paths: Iterable[str]) -> dict[str, dict[str, str]]:
    """Folder ("" for the top) to names to paths."""
    folders: dict[str, dict[str, str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, {})[name] = path
    return folders


def _named(repository: HubRepository) -> Sequence[str]:
    """Files that are asked for by name."""
    return [pattern for pattern in repository.allow_patterns if not _is_wild(pattern)]


def _folders(repository: HubRepository) -> Iterator[str]:
    """Folders that are asked for by name, as "unet/*" does."""
    for pattern in repository.allow_patterns:
        folder, _, rest = pattern.rpartition("/")
        if rest == "*" and folder and not _is_wild(folder):
            yield folder


def _is_wild(pattern: str) -> bool:
    return not set("*?[").isdisjoint(pattern)


def _is_allowed(path: str, repository: HubRepository) -> bool:
    patterns = repository.allow_patterns
    return not patterns or any(fnmatchcase(path, pattern) for pattern in patterns)


def _may_hold(component: str, repository: HubRepository) -> bool:
    """Whether a loader is to find the component in this repository."""
    patterns = repository.allow_patterns
    return not patterns or any(
        pattern.startswith(f"{component}/") or fnmatchcase(f"{component}/any", pattern)
        for pattern in patterns
        if _is_wild(pattern)
    )
