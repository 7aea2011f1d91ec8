"""Manifests against the schemas of Kubernetes and of custom resources, as an API server would.

Custom resource definitions are their projects' and not kept here. They are read from the folder
that KUBERNETES_CRDS names, else from `../shared/kuberay` beside this checkout. Rules in CEL are
not run.
"""

import copy
import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

Block = dict[str, Any]

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("KUBERNETES_CRDS") or ROOT.parent / "shared" / "kuberay")
BUILT_IN = ("v1", "apps/v1", "batch/v1", "policy/v1", "networking.k8s.io/v1")


def is_built_in(manifest: Block) -> bool:
    return manifest["apiVersion"] in BUILT_IN


def built_in_error(manifest: Block, version: str) -> str:
    """What Kubernetes of this version would refuse; "" when nothing. Unknown fields count."""
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{manifest['kind']} {'/'.join(map(str, error.path))}: {error.message[:300]}"
    return ""


def custom_errors(manifest: Block) -> list[str] | None:
    """What the definition of a custom resource does not allow; None where there is none here."""
    group, version = manifest["apiVersion"].split("/")
    schema = definitions().get((group, version, manifest["kind"]))
    if schema is None:
        return None
    filled = copy.deepcopy(manifest)
    _fill(filled, schema)
    found = jsonschema.Draft202012Validator(schema).iter_errors(filled)
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in found]


@cache
def definitions() -> dict[tuple[str, str, str], Block]:
    """The strict schema of each custom resource by (group, version, kind)."""
    found: dict[tuple[str, str, str], Block] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.load_all(path.read_text(), yaml.CSafeLoader):
            if isinstance(document, dict) and document.get("kind") == "CustomResourceDefinition":
                spec = document["spec"]
                for one in spec["versions"]:
                    schema = one["schema"]["openAPIV3Schema"]
                    schema["properties"]["metadata"] = {"type": "object"}  # Kubernetes' own
                    _make_strict(schema)
                    found[spec["group"], one["name"], spec["names"]["kind"]] = schema
    return found


def _make_strict(schema: Any) -> None:
    """Turn Kubernetes' dialect into plain JSON Schema in which unknown fields are errors."""
    if isinstance(schema, list):
        for one in schema:
            _make_strict(one)
    if not isinstance(schema, dict):
        return
    if schema.get("x-kubernetes-int-or-string"):
        schema.pop("type", None)
        schema["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties", "allOf", "anyOf", "oneOf", "not"):
        _make_strict(schema.get(key))
    for one in schema.get("properties", {}).values():
        _make_strict(one)


def _fill(value: Any, schema: Block) -> None:
    """Put defaults in and take nulls out, as an API server does before it looks."""
    if isinstance(value, list):
        for one in value:
            _fill(one, schema.get("items", {}))
    if not isinstance(value, dict):
        return
    for key in [key for key, one in value.items() if one is None]:
        del value[key]
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    for key, one in properties.items():
        if key not in value and "default" in one:
            value[key] = copy.deepcopy(one["default"])
    for key, one in value.items():
        if key in properties:
            _fill(one, properties[key])
        elif isinstance(others, dict):
            _fill(one, others)
