"""What the HTTP routes talk to: the service without HTTP."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping

from inpaint.codecs import Limits
from inpaint.deadlines import Deadline
from inpaint.jobs import Order, Result, Timings, Upload
from inpaint.params import SEED_MAX
from inpaint.plans import StrategyOptions
from inpaint.reports import ServiceState
from inpaint.settings import IngressConfig, MiB
from inpaint.specs import ModelSpec
from serve_app import bodies, pipeline
from serve_app.bodies import Body
from serve_app.families import Family
from serve_app.painting import Painter, RefusedInputs
from serve_app.pixel_threads import PixelThreads
from serve_app.routing import Routes
from serve_app.running import RunningRequests
from serve_app.schemas import ModelCard, ModelList, Readiness, read_fields, read_params

FILES = frozenset({"image", "mask"})
STATE_LIFETIME_S = 1.0
"""How old the answer of the Registry may be."""

_READY = frozenset({"HEALTHY", "UPSCALING", "DOWNSCALING"})


class Gateway:
    """Routes requests to families; one for each ingress replica.

    Args:
        routes: which family serves which model.
        families: by deployment name.
        service_state: asks the Registry; raises when it does not answer.
        family_statuses: Serve's status of each family, e.g. "HEALTHY".
        cancel_everywhere: cancels a request on whichever ingress replica runs it.
    """

    def __init__(
        self,
        routes: Routes,
        families: Mapping[str, Family],
        service_state: Callable[[], Awaitable[ServiceState]],
        family_statuses: Callable[[], Awaitable[Mapping[str, str]]],
        cancel_everywhere: Callable[[str], Awaitable[bool]],
    ) -> None:
        self.cancel_everywhere = cancel_everywhere
        self._routes = routes
        self._families = families
        self._service_state = service_state
        self._family_statuses = family_statuses
        self._running = RunningRequests()
        self._known_state = (0.0, ServiceState({}))
        self.configure(IngressConfig())

    def configure(self, config: IngressConfig) -> None:
        """Take over new settings; running requests end under the old ones."""
        self.config = config
        limits = Limits(max_pixels=int(config.max_megapixels * 1e6))
        self._bench = pipeline.Bench(PixelThreads(config.pixel_threads), limits)
        self._refused = RefusedInputs(config.refuse_input_s)

    async def parse(self, content_type: str, body: bytes) -> Body:
        """Take a body apart, off the event loop."""
        return await self._bench.threads.run(bodies.parse, content_type, body, FILES)

    async def inpaint(self, request_id: str, body: Body, deadline: Deadline) -> Result:
        """Run one request; can be cancelled by its id while it runs.

        Raises:
            RequestCancelledError: somebody did.
            InpaintError: any other, for its own reason.
        """
        upload = Upload(body.take("image", "a picture"), body.take("mask", "a mask of its size"))
        self._refused.check(upload)
        order, family = await self._bench.threads.run(self._order, body, deadline)
        paint = Painter(family, order, upload, self._refused, self.config.max_tiles_in_flight)
        work = pipeline.inpaint(upload, order, paint, self._bench, Timings())
        return await self._running.run(request_id, work)

    def _order(self, body: Body, deadline: Deadline) -> tuple[Order, Family]:
        """Everything but the pictures. Looks at files, so it runs on a thread."""
        fields, rest = read_fields(body.fields)
        spec, family = self._routes.find(fields.model)
        params = read_params(spec, rest, fields)
        seed = params.seed if params.seed is not None else secrets.randbelow(SEED_MAX)
        options = StrategyOptions(
            **{name: getattr(fields, name) for name in StrategyOptions.model_fields}
        )
        order = Order(
            spec=spec,
            params=params.model_copy(update={"seed": seed}) if "seed" in spec.reads else params,
            options=options,
            seed=seed,
            deadline=deadline,
            format=fields.format,
            quality=fields.quality,
        )
        return order, self._families[family]

    def cancel_here(self, request_id: str) -> bool:
        """Cancel a request that this ingress replica runs; False when it does not."""
        return self._running.cancel(request_id)

    async def models(self) -> ModelList:
        """Everything that can be asked for."""
        state = await self._state()
        return await self._bench.threads.run(self._cards, state)

    def _cards(self, state: ServiceState) -> ModelList:
        cards = (self._card(spec, family, state) for spec, family in self._routes.served)
        return ModelList(default=self._routes.default(), models=tuple(cards))

    def _card(self, spec: ModelSpec, family: str, state: ServiceState) -> ModelCard:
        holding = state.replicas_holding.get(spec.name, 0)
        return ModelCard.of(spec, family, self._routes.state(spec, holding), holding)

    async def model(self, name: str) -> ModelCard:
        """One of them; UnknownModelError or FamilyMissingError when it is not served."""
        spec, family = self._routes.find(name)
        return await self._bench.threads.run(self._card, spec, family, await self._state())

    async def readiness(self) -> Readiness:
        """Whether every family can take a request; one that waits at zero replicas can."""
        statuses = await self._family_statuses()
        families = {name: statuses.get(name, "MISSING") for name in self._families}
        return Readiness(ready=_READY.issuperset(families.values()), families=families)

    async def _state(self) -> ServiceState:
        """The Registry's answer; when it is gone, nothing is known to be loaded."""
        asked, state = self._known_state
        if time.monotonic() - asked > STATE_LIFETIME_S:
            try:
                state = await asyncio.wait_for(self._service_state(), 1.0)
            except Exception:  # noqa: BLE001  whatever is wrong with it, the rest works on
                state = ServiceState({})
            self._known_state = (time.monotonic(), state)
        return state

    @property
    def max_body_bytes(self) -> int:
        """Largest request body."""
        return self.config.max_body_mb * MiB
