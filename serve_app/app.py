"""Builds the Serve application: the `import_path` of a Serve config. Wiring only."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from ray import serve
from ray.serve import Application, Deployment

from deployments.family import FamilySetup
from deployments.metrics import DownloadMetrics
from deployments.registry import Registry
from deployments.request_router import BY_MODEL
from deployments.serving import Diffusion, Erase, Ocr
from deployments.weights import WeightsStore, open_desk, with_discovered
from inpaint.catalog import Catalog
from inpaint.resources import configs_dir
from inpaint.settings import AppArgs
from inpaint.specs import Kind
from serve_app.ingress import Ingress
from serve_app.routing import Routes, assign

REPLICAS: dict[Kind, Callable[..., Any]] = {
    Kind.ERASE: Erase,
    Kind.DIFFUSION: Diffusion,
    Kind.OCR: Ocr,
}
OPTIONS: dict[Kind, dict[str, Any]] = {Kind.DIFFUSION: {"request_router_config": BY_MODEL}}
"""What the Serve config need not say."""


def _deployment(cls: Callable[..., Any], name: str, **options: Any) -> Deployment:
    """`serve.deployment` with the type that it really returns."""
    return cast(Deployment, serve.deployment(cls, name=name, **options))


# No `from __future__ import annotations` here: Serve finds AppArgs by the annotation's class.
def build_app(args: AppArgs) -> Application:
    """One ingress, one registry, and one deployment for each family.

    Replicas, CPU and GPU shares, autoscaling and queue limits come from `deployments:` of the
    Serve config, under the families' names.
    """
    catalog = Catalog.read(configs_dir(), args.model_folders)
    catalog = with_discovered(catalog, args.model_dir)
    assigned = assign(catalog, args.families)
    registry = _deployment(Registry, "Registry", ray_actor_options={"num_cpus": 0}).bind()
    families = {
        family.deployment: _deployment(
            REPLICAS[family.kind], family.deployment, **OPTIONS.get(family.kind, {})
        ).bind(
            FamilySetup(
                family=family.deployment,
                specs=assigned[family.deployment],
                adapters=catalog.adapters_of(*assigned[family.deployment]),
                device=family.device,
                precision=family.precision,
                engine=family.engine,
                low_mem=family.low_mem,
                cpu_offload=family.cpu_offload,
                cpu_textencoder=family.cpu_textencoder,
                safety_checker=family.safety_checker,
                model_dir=args.model_dir,
                model_folders=args.model_folders,
                trust_unverified_weights=args.trust_unverified_weights,
                may_fetch_weights=args.may_fetch_weights,
            ),
            registry,
        )
        for family in args.families
    }
    store = WeightsStore(args.model_dir)
    routes = Routes(catalog, assigned, args.default_models, store.state)
    desk = partial(open_desk, store, args.may_fetch_weights, observe=DownloadMetrics)
    return _deployment(Ingress, "Ingress").bind(
        routes, registry, families, args.iopaint, args.access, desk, args.cluster.scalable
    )
