"""The whole service in one process without Ray: real gateway, real replicas, no handles."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from deployments.erase import EraseReplica, FamilySetup
from deployments.registry import Registry
from deployments.weights import WeightsStore
from inpaint.catalog import Catalog
from inpaint.deadlines import Deadline
from inpaint.protocols import Painted
from inpaint.resources import configs_dir
from inpaint.settings import FamilyArgs
from inpaint.specs import Kind
from serve_app.api import create_api
from serve_app.gateway import Gateway
from serve_app.routing import Routes, assign

OWN_MODELS = Path(__file__).parent / "own_models"


@dataclass
class LocalFamily:
    """A family whose only replica is an object of this process."""

    replica: EraseReplica
    fail_with: list[Exception] = field(default_factory=list)
    calls: int = 0

    async def paint(self, model, image, mask, params, deadline: Deadline) -> Painted:
        self.calls += 1
        if self.fail_with:
            raise self.fail_with.pop(0)
        image, mask = image.copy(), mask.copy()
        image.flags.writeable = mask.flags.writeable = False  # as they arrive through Ray
        return await self.replica.paint(model, image, mask, params)


class LocalService:
    """One gateway over families made from the catalog and the tests' own models."""

    def __init__(self, model_dir: Path, families: tuple[str, ...] = ("Erase",)) -> None:
        catalog = Catalog.from_dirs([configs_dir() / "models", OWN_MODELS])
        args = [FamilyArgs(deployment=name, kind=Kind.ERASE) for name in families]
        assigned = assign(catalog, args)
        self.registry = Registry()
        self.statuses: Mapping[str, str] = dict.fromkeys(families, "HEALTHY")
        self.families = {
            name: LocalFamily(
                EraseReplica(
                    FamilySetup(name, specs, model_dir=model_dir, model_folders=(OWN_MODELS,)),
                    f"{name}-1",
                    self.registry.report,
                )
            )
            for name, specs in assigned.items()
        }
        store = WeightsStore(model_dir)
        self.gateway = Gateway(
            Routes(catalog, assigned, ("lama", "cv2"), store.state),
            self.families,
            self.registry.state,
            self._statuses,
            self._cancel,
        )

    def client(self, **options) -> httpx.AsyncClient:
        """An HTTP client that calls the application directly."""
        transport = httpx.ASGITransport(create_api(self.gateway), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://service", **options)

    async def _statuses(self) -> Mapping[str, str]:
        return self.statuses

    async def _cancel(self, request_id: str) -> bool:
        return self.gateway.cancel_here(request_id)
