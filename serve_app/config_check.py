"""A stricter look at a Serve config than Serve's own, which ignores unknown keys.

Finds typos, settings that contradict each other, and families without settings. Used by
`inpaint-serve check`, by `start`, and by the tests on every shipped config.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import (
    DeploymentSchema,
    HTTPOptionsSchema,
    RayActorOptionsSchema,
    ServeApplicationSchema,
    ServeDeploySchema,
)

from inpaint.addresses import is_loopback
from inpaint.settings import (
    AppArgs,
    DiffusionConfig,
    EraseConfig,
    IngressConfig,
    OcrConfig,
    SocketArgs,
)
from inpaint.specs import Kind, Spec
from serve_app.sockets.names import BUILDER as SOCKETS_BUILDER

USER_CONFIGS: dict[Kind, type[Spec]] = {
    Kind.ERASE: EraseConfig,
    Kind.DIFFUSION: DiffusionConfig,
    Kind.OCR: OcrConfig,
}
LOCAL_HOST = "127.0.0.1"
"""Serve's own default."""
OWN_DEPLOYMENTS = ("Ingress", "Registry")

Block = Mapping[str, Any]


def check_file(path: Path, *, insecure: bool = False) -> list[str]:
    """Findings about the YAML file at `path`, one sentence each; empty when it is fine.

    Args:
        path: of a Serve config.
        insecure: see `check`.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return [f"{path} cannot be read as YAML: {error}"]
    if not isinstance(document, dict):
        return [f"{path} is not a Serve config."]
    return check(document, insecure=insecure)


def check(document: Block, *, insecure: bool = False) -> list[str]:
    """Findings about a Serve config; empty when it is fine.

    Args:
        document: the config.
        insecure: whether a public address may go without API keys.
    """
    findings = list(_structure(document))
    for app in _apps(document):
        if app.get("import_path") == SOCKETS_BUILDER:
            findings += _sockets(app)
            continue
        findings += [*_app(app), *_times(document, app), *_ties(document, app)]
        if not insecure:
            findings += _access(document, app)
    return findings


def _apps(document: Block) -> list[Block]:
    apps = document.get("applications")
    return [app for app in apps if isinstance(app, dict)] if isinstance(apps, list) else []


def _structure(document: Block) -> Iterator[str]:
    yield from _unknown(document, ServeDeploySchema, "top level")
    yield from _unknown(document.get("http_options") or {}, HTTPOptionsSchema, "http_options")
    yield from _invalid(document, ServeDeploySchema, "Serve config")


def _app(app: Block) -> Iterator[str]:
    yield from _unknown(app, ServeApplicationSchema, "application")
    args = app.get("args") or {}
    findings = list(_invalid(args, AppArgs, "args"))
    yield from findings
    kinds = {} if findings else _kinds(args)
    listed = [entry for entry in app.get("deployments") or [] if isinstance(entry, dict)]
    for entry in listed:
        yield from _deployment(entry, kinds)
    known = {*kinds, *OWN_DEPLOYMENTS}
    for name in sorted({str(entry.get("name")) for entry in listed} - known if kinds else ()):
        yield f"deployments: {name!r} is no family of args.families, nor {OWN_DEPLOYMENTS}."
    for name in sorted(kinds.keys() - {entry.get("name") for entry in listed}):
        yield f"deployments: the family {name!r} has no entry, so it would run on Serve's defaults."


def _sockets(app: Block) -> Iterator[str]:
    """The application under /socket.io."""
    yield from _unknown(app, ServeApplicationSchema, "application")
    yield from _invalid(app.get("args") or {}, SocketArgs, "args")
    for entry in app.get("deployments") or []:
        yield from _deployment(entry, {})
        if entry.get("num_replicas", 1) != 1 or entry.get("autoscaling_config"):
            name = entry.get("name")
            yield f"{name}: needs one replica, since a connection that lasts is in one place."


def _ties(document: Block, app: Block) -> Iterator[str]:
    """What an application says of the one with its sockets."""
    args = app.get("args") or {}
    name = (args.get("iopaint") or {}).get("sockets")
    if name is None:
        return
    found = [
        other
        for other in _apps(document)
        if other.get("name") == name and other.get("import_path") == SOCKETS_BUILDER
    ]
    if not found:
        yield f"args.iopaint.sockets: no application {name!r} is built by {SOCKETS_BUILDER}."
    for other in found:
        if (other.get("args") or {}).get("access", {}) != args.get("access", {}):
            yield f"{name}: args.access must be the same in both applications."


def _kinds(args: Block) -> dict[str, Kind]:
    return {family.deployment: family.kind for family in AppArgs.model_validate(args).families}


def _deployment(entry: Block, kinds: Mapping[str, Kind]) -> Iterator[str]:
    name = str(entry.get("name"))
    yield from _unknown(entry, DeploymentSchema, name)
    options = entry.get("ray_actor_options") or {}
    yield from _unknown(options, RayActorOptionsSchema, f"{name}.ray_actor_options")
    scaling = entry.get("autoscaling_config")
    if isinstance(scaling, dict):
        yield from _scaling(name, entry, scaling)
    if entry.get("max_queued_requests", -1) < 0:
        yield f"{name}: max_queued_requests is not set, so its queue has no bound."
    config = IngressConfig if name == "Ingress" else USER_CONFIGS.get(kinds.get(name, Kind.ERASE))
    if config is not None and entry.get("user_config") is not None:
        yield from _invalid(entry["user_config"], config, f"{name}.user_config")


def _scaling(name: str, entry: Block, scaling: Block) -> Iterator[str]:
    yield from _unknown(scaling, AutoscalingConfig, f"{name}.autoscaling_config")
    findings = list(_invalid(scaling, AutoscalingConfig, f"{name}.autoscaling_config"))
    yield from findings
    if findings:
        return
    target = AutoscalingConfig.model_validate(scaling).target_ongoing_requests
    if target > entry.get("max_ongoing_requests", 5):
        yield f"{name}: target_ongoing_requests above max_ongoing_requests never scales up."
    if name in OWN_DEPLOYMENTS and scaling.get("min_replicas", 1) == 0:
        yield f"{name}: must not scale to zero; nobody would answer."


def _times(document: Block, app: Block) -> Iterator[str]:
    """A request's longest budget, Serve's timeout and the shutdown must come in this order."""
    entries = {entry.get("name"): entry for entry in app.get("deployments") or []}
    ingress = entries.get("Ingress", {})
    config = ingress.get("user_config") or {}
    longest = config.get("max_timeout_s", IngressConfig().max_timeout_s)
    default = config.get("default_timeout_s", IngressConfig().default_timeout_s)
    serve_s = (document.get("http_options") or {}).get("request_timeout_s")
    if serve_s is None or serve_s <= longest:
        yield f"http_options.request_timeout_s ({serve_s}) must be above max_timeout_s ({longest})."
    if default > longest:
        yield f"Ingress: default_timeout_s ({default}) is above max_timeout_s ({longest})."
    for name, entry in entries.items():
        grace = entry.get("graceful_shutdown_timeout_s", 20)
        if name != "Registry" and grace <= longest:
            yield f"{name}: graceful_shutdown_timeout_s ({grace}) cuts requests of {longest} s."


def _access(document: Block, app: Block) -> Iterator[str]:
    """Whoever reaches a public address could use the machine."""
    host = (document.get("http_options") or {}).get("host", LOCAL_HOST)
    access = (app.get("args") or {}).get("access") or {}
    if not is_loopback(str(host)) and access.get("auth", "none") != "required":
        yield (
            f"http_options.host ({host}) is open to other machines and nobody is asked for an API "
            "key: set args.access (docs/security.md), or start with --api-keys FILE; --insecure "
            "where something before the server asks."
        )


def _unknown(block: object, model: type[BaseModel], where: str) -> Iterator[str]:
    if not isinstance(block, dict):
        yield f"{where}: must be a block of keys."
        return
    for key in block:
        if key not in model.model_fields:
            yield f"{where}: unknown key {key!r}."


def _invalid(block: object, model: type[BaseModel], where: str) -> Iterator[str]:
    try:
        model.model_validate(block)
    except ValidationError as error:
        for finding in error.errors(include_url=False):
            yield f"{where}.{'.'.join(map(str, finding['loc']))}: {finding['msg']}."
    except ValueError as error:
        yield f"{where}: {error}"
