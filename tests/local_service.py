"""The whole service in one process without Ray: real gateway, real replicas, no handles."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path

import httpx

from deployments.erase import EraseReplica
from deployments.family import FamilySetup
from deployments.registry import Registry
from deployments.weights import WeightsStore, open_desk
from inpaint.catalog import Catalog
from inpaint.deadlines import Deadline
from inpaint.errors import ReplicaLostError
from inpaint.protocols import Painted
from inpaint.reports import ReplicaReport
from inpaint.resources import configs_dir
from inpaint.settings import AccessArgs, FamilyArgs, IOPaintArgs
from inpaint.specs import Kind
from inpaint.texts import ReadResult, TextRegion
from serve_app.api import create_api
from serve_app.capacity import Capacity, ClusterState, FamilyState
from serve_app.gateway import Gateway
from serve_app.routing import Routes, assign
from serve_app.shared_state import SharedState
from tests.fake_diffusion import FakePainters

OWN_MODELS = Path(__file__).parent / "own_models"


@cache
def known_models() -> Catalog:
    """The shipped models and adapters and the tests' own models, read once."""
    return Catalog.read(configs_dir(), [OWN_MODELS])


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


@dataclass
class ScriptedReader:
    """An OCR family that answers what it was told to, one list of regions after the other."""

    answers: list[list[TextRegion]] = field(default_factory=list)
    fail_with: list[Exception] = field(default_factory=list)
    seen: list[tuple[int, ...]] = field(default_factory=list)
    lost_calls: set[int] = field(default_factory=set)

    async def read(self, image, options, deadline: Deadline) -> ReadResult:
        self.seen.append(image.shape)
        if len(self.seen) in self.lost_calls:
            await asyncio.sleep(0)
            raise ReplicaLostError("gone")
        if self.fail_with:
            raise self.fail_with.pop(0)
        return ReadResult(self.answers.pop(0) if self.answers else [], 0.0, 0.0)


class LocalService:
    """One gateway over families made from the catalog and the tests' own models."""

    def __init__(
        self,
        model_dir: Path,
        *,
        has_ocr: bool = False,
        has_diffusion: bool = False,
        iopaint: IOPaintArgs | None = None,
        may_fetch: bool = False,
        catalog: Catalog | None = None,
    ) -> None:
        catalog = catalog or known_models()
        args = [FamilyArgs(deployment="Erase", kind=Kind.ERASE)]
        if has_ocr:
            args.append(FamilyArgs(deployment="OCR", kind=Kind.OCR))
        if has_diffusion:
            args.append(FamilyArgs(deployment="Painters", kind=Kind.DIFFUSION))
        assigned = assign(catalog, args)
        self.iopaint = iopaint or IOPaintArgs()
        self.access = AccessArgs()
        self.registry = Registry()
        self.reader = ScriptedReader()
        self.painters = FakePainters()
        self.statuses: Mapping[str, str] = {family.deployment: "HEALTHY" for family in args}
        self.wanting: dict[str, Mapping[str, float]] = {}  # families at zero, and what they need
        self.can_grow = False
        self.warm = asyncio.Event()
        self.families = {
            name: LocalFamily(
                EraseReplica(
                    FamilySetup(
                        name, specs, "cpu", model_dir=model_dir, model_folders=(OWN_MODELS,)
                    ),
                    f"{name}-1",
                    self.registry.report,
                )
            )
            for name, specs in assigned.items()
            if name == "Erase"
        }
        self._store = WeightsStore(model_dir)
        self._may_fetch = may_fetch
        self._gateways = count(1)
        self._routes = Routes(catalog, assigned, ("lama", "cv2"), self._store.state)
        self.gateway = self.another_gateway()

    def another_gateway(self) -> Gateway:
        """One more ingress replica over the same Registry and families."""
        name = f"Ingress-{next(self._gateways)}"

        async def tell() -> None:
            report = ReplicaReport(name, "Ingress", (), 0, desk.downloads)
            await self.registry.report(report)

        desk = open_desk(self._store, self._may_fetch, tell)
        return Gateway(
            self._routes,
            self.families,
            {"Painters": self.painters},
            {"OCR": self.reader},
            SharedState(self.registry.state, self.registry.choose_default),
            Capacity(self._look, lambda family: self.warm.wait(), lifetime_s=0),
            self._cancel,
            desk,
        )

    def client(self, gateway: Gateway | None = None, **options) -> httpx.AsyncClient:
        """An HTTP client that calls the application directly."""
        app = create_api(gateway or self.gateway, self.iopaint, self.access)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://service", **options)

    async def _look(self) -> ClusterState:
        families = {
            name: FamilyState(status, int(name not in self.wanting), self.wanting.get(name, {}))
            for name, status in self.statuses.items()
        }
        return ClusterState(families, ({"CPU": 2.0},), self.can_grow)

    async def _cancel(self, request_id: str) -> bool:
        return self.gateway.cancel_here(request_id)
