"""The whole service in one process without Ray: real gateway, real replicas, no handles."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import httpx

from deployments.erase import EraseReplica, FamilySetup
from deployments.registry import Registry
from deployments.weights import WeightsStore
from inpaint.catalog import Catalog
from inpaint.deadlines import Deadline
from inpaint.errors import ReplicaLostError
from inpaint.protocols import Painted
from inpaint.resources import configs_dir
from inpaint.settings import FamilyArgs
from inpaint.specs import Kind
from inpaint.texts import ReadResult, TextRegion
from serve_app.api import create_api
from serve_app.gateway import Gateway
from serve_app.routing import Routes, assign

OWN_MODELS = Path(__file__).parent / "own_models"


@cache
def known_models() -> Catalog:
    """The shipped models and the tests' own, read once."""
    return Catalog.from_dirs([configs_dir() / "models", OWN_MODELS])


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

    def __init__(self, model_dir: Path, *, has_ocr: bool = False) -> None:
        catalog = known_models()
        args = [FamilyArgs(deployment="Erase", kind=Kind.ERASE)]
        if has_ocr:
            args.append(FamilyArgs(deployment="OCR", kind=Kind.OCR))
        assigned = assign(catalog, args)
        self.registry = Registry()
        self.reader = ScriptedReader()
        self.statuses: Mapping[str, str] = {family.deployment: "HEALTHY" for family in args}
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
            if name != "OCR"
        }
        store = WeightsStore(model_dir)
        self.gateway = Gateway(
            Routes(catalog, assigned, ("lama", "cv2"), store.state),
            self.families,
            {"OCR": self.reader},
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
