"""Writes what each overlay sets `serveConfigV2` to: `python -m k8s.generate`, or `make k8s`.

A RayService holds its Serve config as one string. It is made from a shipped config and what the
overlay's `serve.yaml` changes of it, so that neither is written twice; a test fails when the
written file is not what this module would write.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import Field

from inpaint.specs import Spec

K8S = Path(__file__).parent
ROOT = K8S.parent
CHANGES, PATCH = "serve.yaml", "serve-config.generated.yaml"

Block = dict[str, Any]

EVERYWHERE: Block = {
    "http_options": {"host": "0.0.0.0"},  # noqa: S104  network policies say who reaches it
    "logging_config": {"encoding": "JSON"},
    "args": {
        "model_dir": "/models",
        "model_dir_access": "readonly",
        "access": {"auth": "required", "api_keys": "/etc/inpaint-serve/keys.yaml"},
    },
}
"""True of every cluster: pods listen on their own address and want keys; a Job fetches weights;
something collects logs."""


class PlainDumper(yaml.SafeDumper):
    """Writes equal blocks out each time: an alias would be one more thing to read."""

    def ignore_aliases(self, data: object) -> bool:
        """See PyYAML."""
        return True


class Changes(Spec):
    """An overlay's `serve.yaml`: where it starts from, and what it changes."""

    source: str = Field(description="A Serve config of this repository.")
    args: Block = Field(default={}, description="Of the application, without its families.")
    families: dict[str, Block] = Field(default={}, description="By deployment.")
    with_gpu: Block = Field(default={}, description="Of every deployment with a share of a GPU.")
    without_gpu: Block = Field(default={}, description="Of every other deployment.")
    deployments: dict[str, Block] = Field(default={}, description="By name; wins over both.")


def overlays() -> list[Path]:
    """The folders of the overlays, by name."""
    return sorted(path.parent for path in (K8S / "overlays").glob(f"*/{CHANGES}"))


def serve_config(overlay: Path) -> Block:
    """The Serve config of an overlay.

    Raises:
        ValueError: `serve.yaml` has an unknown key, or names a deployment that its source lacks.
    """
    changes = Changes.model_validate(_read(overlay / CHANGES))
    document = _read(ROOT / changes.source)
    app, sockets = document["applications"]
    document["http_options"] = merged(document["http_options"], EVERYWHERE["http_options"])
    logs = EVERYWHERE["logging_config"]
    document["logging_config"] = merged(document.get("logging_config", {}), logs)
    families = _changed(app["args"]["families"], "deployment", changes.families)
    app["args"] = merged(app["args"], EVERYWHERE["args"], changes.args, {"families": families})
    sockets["args"] = merged(sockets["args"], {"access": app["args"]["access"]})
    entries = [*app["deployments"], *sockets["deployments"]]
    changed = [
        merged(
            _with(logs, entry), _rule(entry, changes), changes.deployments.get(entry["name"], {})
        )
        for entry in _changed(entries, "name", changes.deployments)
    ]
    own = len(app["deployments"])
    app["deployments"], sockets["deployments"] = changed[:own], changed[own:]
    return document


def _with(logs: Block, entry: Block) -> Block:
    """A deployment's own `logging_config` takes the place of the document's, all of it."""
    own = entry.get("logging_config")
    return entry if own is None else merged(entry, {"logging_config": logs})


def _rule(entry: Block, changes: Changes) -> Block:
    takes_gpu = entry.get("ray_actor_options", {}).get("num_gpus", 0) > 0
    return changes.with_gpu if takes_gpu else changes.without_gpu


def _changed(entries: list[Block], key: str, changes: Mapping[str, Block]) -> list[Block]:
    unknown = sorted(changes.keys() - {entry[key] for entry in entries})
    if unknown:
        raise ValueError(f"{CHANGES} changes what its source does not have: {', '.join(unknown)}")
    return [merged(entry, changes.get(entry[key], {})) for entry in entries]


def merged(base: Block, *changes: Block) -> Block:
    """`base` with `changes` put in, block by block; lists and plain values are replaced."""
    result = dict(base)
    for change in changes:
        for key, value in change.items():
            old = result.get(key)
            is_block = isinstance(old, dict) and isinstance(value, dict)
            result[key] = merged(cast(Block, old), value) if is_block else value
    return result


def patch(overlay: Path) -> str:
    """The text of the patch (JSON 6902) that sets an overlay's `serveConfigV2`."""
    source = Changes.model_validate(_read(overlay / CHANGES)).source
    document = serve_config(overlay)
    text = yaml.dump(document, Dumper=PlainDumper, sort_keys=False, default_flow_style=None)
    indented = "".join(f"    {line}" if line.strip() else line for line in text.splitlines(True))
    return (
        f"# Written by `make k8s` from {source} and this folder's {CHANGES}. Change those.\n"
        f"- op: add\n  path: /spec/serveConfigV2\n  value: |\n{indented}"
    )


def _read(path: Path) -> Block:
    document: Block = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def main() -> None:
    """Write the patch of every overlay."""
    for overlay in overlays():
        (overlay / PATCH).write_text(patch(overlay), encoding="utf-8")


if __name__ == "__main__":
    main()
