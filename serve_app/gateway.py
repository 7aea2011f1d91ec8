"""What the HTTP routes talk to: the service without HTTP."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

from inpaint.arrays import Size
from inpaint.codecs import Limits
from inpaint.deadlines import Deadline
from inpaint.jobs import Order, Result, Timings, Upload
from inpaint.reports import ServiceState
from inpaint.settings import IngressConfig, MiB
from inpaint.specs import ModelSpec
from inpaint.texts import ReadOptions, TextRegion
from serve_app import bodies, pipeline
from serve_app.bodies import Body
from serve_app.calls import Painter, Reader
from serve_app.families import Family, TextFamily
from serve_app.orders import (
    InpaintFields,
    RemoveTextFields,
    make_order,
    make_text_order,
    read_fields,
    read_options,
)
from serve_app.pixel_threads import PixelThreads
from serve_app.retries import RefusedInputs, RetryOnce
from serve_app.routing import Routes
from serve_app.running import RunningRequests
from serve_app.schemas import ModelCard, ModelList, Readiness
from serve_app.text_removal import TextOrder, TextRemoval, TextResult

P = ParamSpec("P")
T = TypeVar("T")

FILES = frozenset({"image", "mask"})
STATE_LIFETIME_S = 1.0
"""How old the answer of the Registry may be."""

_READY = frozenset({"HEALTHY", "UPSCALING", "DOWNSCALING"})


class Gateway:
    """Routes requests to families; one for each ingress replica.

    Args:
        routes: which family serves which model.
        families: those that repaint, by deployment name.
        readers: those that read text, likewise.
        service_state: asks the Registry; raises when it does not answer.
        family_statuses: Serve's status of each family, e.g. "HEALTHY".
        cancel_everywhere: cancels a request on whichever ingress replica runs it.
    """

    def __init__(
        self,
        routes: Routes,
        families: Mapping[str, Family],
        readers: Mapping[str, TextFamily],
        service_state: Callable[[], Awaitable[ServiceState]],
        family_statuses: Callable[[], Awaitable[Mapping[str, str]]],
        cancel_everywhere: Callable[[str], Awaitable[bool]],
    ) -> None:
        self.cancel_everywhere = cancel_everywhere
        self._routes = routes
        self._families = families
        self._readers = readers
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

    async def off_loop(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `call`, computed where pixels are."""
        return await self._bench.threads.run(call, *args, **kwargs)

    async def parse(self, content_type: str, body: bytes) -> Body:
        """Take a body apart, off the event loop."""
        return await self._bench.threads.run(bodies.parse, content_type, body, FILES)

    async def inpaint(self, request_id: str, body: Body, deadline: Deadline) -> Result:
        """Erase what a mask marks; can be cancelled by its id while it runs.

        Raises:
            RequestCancelledError: somebody did.
            InpaintError: any other, for its own reason.
        """
        upload = Upload(body.take("image", "a picture"), body.take("mask", "a mask of its size"))
        await self._refused.check(upload)
        order, family = await self._bench.threads.run(self._order, body, deadline)
        paint = self._painter(family, order, RetryOnce(upload, self._refused))
        work = pipeline.inpaint(upload, order, paint, self._bench, Timings())
        return await self._running.run(request_id, work)

    async def find_text(
        self, request_id: str, body: Body, deadline: Deadline
    ) -> tuple[Size, Sequence[TextRegion], Timings]:
        """The (height, width) of a picture and the text in it; see `inpaint` for errors."""
        upload = Upload(body.take_only("image", "a picture"), b"")
        await self._refused.check(upload)
        reader = self._reader(read_options(body.fields), deadline, RetryOnce(upload, self._refused))
        work = pipeline.find_text(upload.image, reader, self._bench, Timings())
        return await self._running.run(request_id, work)

    async def remove_text(self, request_id: str, body: Body, deadline: Deadline) -> TextResult:
        """Erase the text of a picture; see `inpaint` for errors."""
        upload = Upload(body.take_only("image", "a picture"), b"")
        await self._refused.check(upload)
        order, family, asked = await self._bench.threads.run(self._text_order, body, deadline)
        retry = RetryOnce(upload, self._refused)
        reader = self._reader(ReadOptions(), deadline, retry)
        paint = self._painter(family, order, retry)
        removal = TextRemoval(order, asked, reader, paint, self._bench)
        return await self._running.run(request_id, removal(upload.image))

    def _order(self, body: Body, deadline: Deadline) -> tuple[Order, Family]:
        """Everything but the pictures. Looks at files, so it runs on a thread."""
        fields, rest = read_fields(InpaintFields, body.fields)
        spec, family = self._routes.find_eraser(fields.model)
        return make_order(spec, fields, rest, deadline), self._families[family]

    def _text_order(self, body: Body, deadline: Deadline) -> tuple[Order, Family, TextOrder]:
        fields, rest = read_fields(RemoveTextFields, body.fields)
        spec, family = self._routes.find_eraser(fields.model)
        order = make_order(spec, fields, rest, deadline)
        return order, self._families[family], make_text_order(fields)

    def _painter(self, family: Family, order: Order, retry: RetryOnce) -> Painter:
        return Painter(family, order, retry, self.config.max_tiles_in_flight)

    def _reader(self, options: ReadOptions, deadline: Deadline, retry: RetryOnce) -> Reader:
        family = self._readers[self._routes.find_reader()]
        return Reader(family, options, deadline, retry, self.config.max_tiles_in_flight)

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
        families = {name: statuses.get(name, "MISSING") for name in self._routes.families}
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
