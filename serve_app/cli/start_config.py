"""The Serve config that `start` runs: one to start from, with what the user said put in."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from inpaint.adapters import CONTROLNET, CONTROLNETS, choices
from inpaint.catalog import Catalog
from inpaint.resources import default_serve_config
from inpaint.settings import AppArgs, FamilyArgs
from inpaint.specs import Kind, ModelSpec
from serve_app.cli.catalogs import known_models
from serve_app.cli.start_options import StartError, StartOptions
from serve_app.routing import assign
from serve_app.sockets.names import BUILDER as SOCKETS_BUILDER

BUILDER = "serve_app.app:build_app"
"""The `import_path` of our application; a Serve config may list others beside it."""

HOST, PORT = "127.0.0.1", 8080
"""IOPaint's."""

Block = dict[str, Any]


def read_base(path: Path | None) -> Block:
    """The Serve config to start from; the shipped one if `path` is None.

    Raises:
        StartError: it is no Serve config with our application.
    """
    source = path or default_serve_config()
    try:
        document = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StartError(f"--serve-config: {source} cannot be read as YAML: {error}") from None
    if not isinstance(document, dict) or not any(applications(document)):
        raise StartError(f"--serve-config: {source} has no application with {BUILDER}.")
    return document


def applications(document: Block) -> Iterator[Block]:
    """Our applications of a Serve config."""
    apps = document.get("applications")
    for app in apps if isinstance(apps, list) else []:
        if isinstance(app, dict) and app.get("import_path") == BUILDER:
            yield app


def families(app: Block) -> list[Block]:
    """The families of an application of ours, to be changed in place."""
    listed: list[Block] = app["args"]["families"]
    return listed


def deployment(app: Block, name: str) -> Block:
    """The entry of a deployment in an application, to be changed in place."""
    return next(entry for entry in app["deployments"] if entry["name"] == name)


def build(base: Block, options: StartOptions, is_installed: Callable[[ModelSpec], bool]) -> Block:
    """`base` with the families that this machine can run, and all of `options` but devices.

    Args:
        base: a Serve config without findings (config_check).
        options: what the user said.
        is_installed: whether the packages of a model are installed.

    Raises:
        StartError: the model, or the ControlNet, cannot be had on this machine.
        CatalogError, UnknownModelError: a model's YAML or a family's list of models is wrong.
    """
    document = copy.deepcopy(base)
    is_shipped = options.serve_config is None
    http = document.setdefault("http_options", {})
    http.update(_stated(host=options.host, port=options.port))
    if is_shipped:
        http.update(host=options.host or HOST, port=options.port or PORT)
    for app in applications(document):
        _set_args(app["args"], options)
        catalog = load_catalog(app)
        if is_shipped:
            leave_out(app, [f for f in families(app) if not _can_run(f, catalog, is_installed)])
        _switch_ocr(app, bool(options.enable_ocr) if is_shipped else options.enable_ocr)
        if options.enable_ocr and not _can_run(_reader(app), catalog, is_installed):
            raise StartError("--enable-ocr needs packages: pip install 'inpaint-serve[ocr]'.")
        for family in families(app):
            if family["kind"] == Kind.DIFFUSION:
                family.update(_memory_options(options))
        if options.model is not None:
            spec = _chosen_model(app, catalog, options.model)
            if not is_installed(spec):
                raise StartError(
                    f"The model '{spec.name}' needs packages that are not installed: "
                    f"pip install 'inpaint-serve[{spec.extra}]'."
                )
            app["args"]["default_models"] = [spec.name]
        _check_controlnet(app, catalog, options.controlnet_method)
        _share_access(document, app)
    return document


def _share_access(document: Block, app: Block) -> None:
    """Whoever may ask `app`, and nobody else, may listen at its sockets."""
    access, name = app["args"].get("access"), app["args"].get("iopaint", {}).get("sockets")
    for other in document["applications"]:
        is_its = other.get("name") == name and other.get("import_path") == SOCKETS_BUILDER
        if is_its and access is not None:
            other["args"] = {**(other.get("args") or {}), "access": access}


def load_catalog(app: Block) -> Catalog:
    """All models that an application of ours knows, those in its model directory too.

    Raises:
        CatalogError: a model's YAML file is wrong.
    """
    args = AppArgs.model_validate(app["args"])
    return known_models(args.model_folders, args.model_dir)


def default_model(app: Block, catalog: Catalog) -> ModelSpec:
    """The first choice for a request that names no model.

    Raises:
        StartError: no default model is known.
    """
    names = AppArgs.model_validate(app["args"]).default_models
    for name in names:
        if name in catalog:
            return catalog.get(name)
    raise StartError(f"None of the default models is known: {', '.join(names)}.")


def family_of(app: Block, catalog: Catalog, spec: ModelSpec) -> str | None:
    """The family of `app` that serves a model; None if none does.

    Raises:
        CatalogError, UnknownModelError: the families contradict each other; see `assign`.
    """
    listed = [FamilyArgs.model_validate(family) for family in families(app)]
    assigned = assign(catalog, listed)
    return next((family for family, specs in assigned.items() if spec in specs), None)


def _chosen_model(app: Block, catalog: Catalog, name: str) -> ModelSpec:
    known = ", ".join(sorted(spec.name for spec in catalog.models if spec.kind is not Kind.OCR))
    if name not in catalog:
        is_on_hub = "/" in name
        hint = f"`python main.py download --model={name}` fetches it from the hub. "
        raise StartError(
            f"--model: no model is called {name!r}. {hint if is_on_hub else ''}Known: {known}."
        )
    spec = catalog.get(name)
    if spec.kind is Kind.OCR:
        raise StartError(
            f"--model: '{spec.name}' reads text (--enable-ocr) and repaints nothing. "
            f"Known: {known}."
        )
    if family_of(app, catalog, spec) is None:
        raise StartError(
            f"--model: no family of the Serve config serves '{spec.name}', which belongs to "
            f"'{spec.family}'."
        )
    return spec


def _check_controlnet(app: Block, catalog: Catalog, name: str | None) -> None:
    """See to it that the ControlNet is one, and fits the default model if that takes any."""
    if name is None:
        return
    spec = default_model(app, catalog)
    fitting = [adapter.name for adapter in choices(CONTROLNETS, spec, catalog.adapters_of(spec))]
    known = [adapter.name for adapter in catalog.adapters if adapter.role.startswith(CONTROLNET)]
    if name not in (fitting or known):
        what = f"fits '{spec.name}'" if name in known else "is known"
        raise StartError(
            f"--controlnet-method: no ControlNet called {name!r} {what}. There are: "
            f"{', '.join(fitting or known)}."
        )


def _can_run(
    family: Mapping[str, Any], catalog: Catalog, is_installed: Callable[[ModelSpec], bool]
) -> bool:
    args = FamilyArgs.model_validate(family)
    return any(map(is_installed, catalog.select(args.deployment, args.models)))


def leave_out(app: Block, unwanted: Iterable[Block]) -> None:
    """Take families out, and their deployments."""
    names = {family["deployment"] for family in unwanted}
    app["args"]["families"] = [f for f in families(app) if f["deployment"] not in names]
    app["deployments"] = [entry for entry in app["deployments"] if entry["name"] not in names]


def _switch_ocr(app: Block, is_wanted: bool | None) -> None:
    """See to it that there is an OCR family, or that there is none; None leaves it as it is."""
    if is_wanted is False:
        leave_out(app, filter(_reads, families(app)))
    if is_wanted and not any(map(_reads, families(app))):
        shipped = next(applications(read_base(None)))
        family = _reader(shipped)
        families(app).append(family)
        app["deployments"].append(deployment(shipped, family["deployment"]))


def _reader(app: Block) -> Block:
    return next(filter(_reads, families(app)))


def _reads(family: Mapping[str, Any]) -> bool:
    return bool(family["kind"] == Kind.OCR)


def _set_args(args: Block, options: StartOptions) -> None:
    args.update(
        _stated(model_dir=_absolute(options.model_dir), local_files_only=options.local_files_only)
    )
    if options.api_keys is not None:
        keys = {"auth": "required", "api_keys": _absolute(options.api_keys)}
        args["access"] = {**args.get("access", {}), **keys}
    iopaint = _stated(
        quality=options.quality,
        input=_absolute(options.input),
        mask_dir=_absolute(options.mask_dir),
        output_dir=_absolute(options.output_dir),
        enable_controlnet=options.enable_controlnet,
        controlnet_method=options.controlnet_method,
    )
    if iopaint:
        args["iopaint"] = {**args.get("iopaint", {}), **iopaint}


def _memory_options(options: StartOptions) -> dict[str, object]:
    """How diffusion models spend less memory, and whether their pictures are checked."""
    is_off = options.disable_nsfw_checker
    return _stated(
        low_mem=options.low_mem,
        cpu_offload=options.cpu_offload,
        cpu_textencoder=options.cpu_textencoder,
        safety_checker=None if is_off is None else "off" if is_off else "checkpoint",
    )


def _stated(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _absolute(path: Path | None) -> str | None:
    """Replicas run in folders of their own."""
    return str(path.expanduser().absolute()) if path is not None else None
