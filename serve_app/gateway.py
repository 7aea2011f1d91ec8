"""What the HTTP routes talk to: the service without HTTP."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import ParamSpec, TypeVar

from inpaint.arrays import Size
from inpaint.codecs import Limits
from inpaint.deadlines import Deadline
from inpaint.errors import OverloadedError
from inpaint.examples import EXAMPLE, check_example
from inpaint.jobs import DiffusionOrder, EraseOrder, Holes, Result, Upload
from inpaint.settings import IngressConfig, MiB
from inpaint.specs import AdapterSpec, Kind, ModelSpec
from inpaint.texts import ReadOptions, TextRegion
from serve_app import bodies, pipeline
from serve_app.accounts import Account
from serve_app.bodies import Body
from serve_app.calls import Painter, Reader, StepPainter
from serve_app.capacity import Capacity
from serve_app.cards import Cards
from serve_app.diffusion_pipeline import paint_in_steps
from serve_app.families import DiffusionFamily, Family, TextFamily
from serve_app.full_families import FullFamilies
from serve_app.memory import Memory
from serve_app.orders import (
    Found,
    OrderReader,
    RemoveTextFields,
    make_erase_order,
    make_text_order,
    read_fields,
    read_options,
    read_order,
)
from serve_app.pixel_threads import PixelThreads
from serve_app.progress import Watcher
from serve_app.retries import RefusedInputs, RetryOnce
from serve_app.routing import Routes
from serve_app.running import RunningRequests
from serve_app.schemas import ModelCard, ModelList, Readiness
from serve_app.shared_state import SharedState
from serve_app.text_removal import TextOrder, TextRemoval, TextResult
from serve_app.weights_desk import Desk

P = ParamSpec("P")
T = TypeVar("T")

FILES = frozenset({"image", "mask", EXAMPLE})


class Gateway:
    """Routes requests to families; one for each ingress replica.

    Args:
        routes: which family serves which model.
        families: those that erase, by deployment name.
        painters: those that paint by a prompt, likewise.
        readers: those that read text, likewise.
        shared: what all ingress replicas know.
        capacity: knows which families the cluster can run, and how they are.
        cancel_everywhere: cancels a request on whichever ingress replica runs it.
        desk: knows which weights are here, and fetches those that are not.
    """

    def __init__(
        self,
        routes: Routes,
        families: Mapping[str, Family],
        painters: Mapping[str, DiffusionFamily],
        readers: Mapping[str, TextFamily],
        shared: SharedState,
        capacity: Capacity,
        cancel_everywhere: Callable[[str], Awaitable[bool]],
        desk: Desk,
    ) -> None:
        self.cancel_everywhere = cancel_everywhere
        self._routes = routes
        self._families = families
        self._painters = painters
        self._readers = readers
        self._shared = shared
        self._capacity = capacity
        self._desk = desk
        self._running = RunningRequests()
        self.bodies = Memory(0, "as many bodies and answers")
        self._pictures = Memory(0, "as many pictures")
        self._full = FullFamilies()
        self.configure(IngressConfig())

    def configure(self, config: IngressConfig) -> None:
        """Take over new settings; running requests end under the old ones."""
        self.config = config
        self.limits = Limits(max_pixels=int(config.max_megapixels * 1e6))
        self._bench = pipeline.Bench(PixelThreads(config.pixel_threads), self.limits)
        self._refused = RefusedInputs(config.refuse_input_s)
        self.bodies.limit = config.max_bodies_mb * MiB
        self._pictures.limit = config.max_pictures_mb * MiB

    @contextmanager
    def _own_bench(self) -> Iterator[pipeline.Bench]:
        """The bench as one request sees it: the memory that it takes there is counted, and a full
        queue that it finds is noted.
        """  # noqa: D205  one sentence
        with self._pictures.share() as share, self._full.noted():
            yield replace(self._bench, limits=replace(self.limits, take=share.take))

    def admit(self) -> None:
        """Raise OverloadedError while the edge itself lags behind, whatever is asked for."""
        if self._bench.threads.waiting_s > self.config.max_pixel_wait_s:
            raise OverloadedError(
                "The server lags behind with decoding and encoding pictures; try again shortly."
            )

    async def off_loop(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `call`, computed where pixels are."""
        return await self._bench.threads.run(call, *args, **kwargs)

    async def parse(self, content_type: str, body: bytes) -> Body:
        """Take a body apart, off the event loop."""
        return await self._bench.threads.run(bodies.parse, content_type, body, FILES)

    async def inpaint(
        self,
        account: Account,
        body: Body,
        deadline: Deadline,
        read: OrderReader = read_order,
        watch: Watcher | None = None,
        holes: Holes = Holes.BRIGHT,
    ) -> Result:
        """Repaint what a mask marks; can be cancelled by its id while it runs.

        Args:
            account: the request's; has its id.
            body: the pictures, and the fields for `read`.
            deadline: when the caller gives up.
            read: makes the order out of the fields.
            watch: told of the progress.
            holes: how the mask is read.

        Raises:
            RequestCancelledError: somebody did.
            InpaintError: any other, for its own reason.
        """
        upload = _upload(body, holes)
        await self._refused.check(upload)
        chosen = await self._chosen_for(body)
        with account.timings.stage("admit"):
            order, family = await self._bench.threads.run(self._order, read, body, chosen, deadline)
            account.chose(family, order.spec.name)
            check_example(order.spec, upload.example is not None)
            await self._require(order, family)
        watch, timings = watch or Watcher(), account.timings
        retry = RetryOnce(upload, self._refused, account.retried, watch.restarted)
        with self._own_bench() as bench:
            if isinstance(order, DiffusionOrder):
                steps = StepPainter(self._painters[family], order, retry, watch)
                work = paint_in_steps(upload, order, steps, bench, timings)
            else:
                paint = self._painter(family, order, retry)
                work = pipeline.inpaint(upload, order, paint, bench, timings)
            watch.started(order)
            result = await self._running.run(account.request_id, work)
        account.tiles = result.tiles
        return result

    async def find_text(
        self, account: Account, body: Body, deadline: Deadline
    ) -> tuple[Size, Sequence[TextRegion]]:
        """The (height, width) of a picture and the text in it; see `inpaint` for errors."""
        upload = Upload(body.take_only("image", "a picture"), b"")
        await self._refused.check(upload)
        with account.timings.stage("admit"):
            spec, family = self._routes.find_reader()
            account.chose(family, spec.name)
            await self._start(deadline, family)
            options = read_options(body.fields)
        retry = RetryOnce(upload, self._refused, account.retried)
        reader = self._reader(options, deadline, retry)
        with self._own_bench() as bench:
            work = pipeline.find_text(upload.image, reader, bench, account.timings)
            return await self._running.run(account.request_id, work)

    async def remove_text(self, account: Account, body: Body, deadline: Deadline) -> TextResult:
        """Erase the text of a picture; see `inpaint` for errors."""
        upload = Upload(body.take_only("image", "a picture"), b"")
        await self._refused.check(upload)
        chosen = await self._chosen_for(body)
        with account.timings.stage("admit"):
            order, family, asked = await self._bench.threads.run(
                self._text_order, body, chosen, deadline
            )
            account.chose(family, order.spec.name)
            reader_family = self._routes.find_reader()[1]
            if asked.dry_run:  # nothing is erased, so it needs no weights for that
                await self._start(deadline, reader_family)
            else:
                await self._require(order, reader_family, family)
        retry = RetryOnce(upload, self._refused, account.retried)
        reader = self._reader(ReadOptions(), deadline, retry)
        paint = self._painter(family, order, retry)
        with self._own_bench() as bench:
            removal = TextRemoval(order, asked, reader, paint, bench, account.timings)
            done = await self._running.run(account.request_id, removal(upload.image))
        account.tiles = done.result.tiles if done.result else 0
        return done

    async def _require(self, order: EraseOrder | DiffusionOrder, *families: str) -> None:
        """Refuse what cannot run or lacks weights, so that no replica is woken for nothing, and
        have what does not run yet started.
        """  # noqa: D205  one sentence
        for family in families:
            await self._capacity.check(family)
        if await self._desk.lacks(order.spec) and not await self._is_held(order.spec):
            raise await self._desk.refusal(order.spec)
        if isinstance(order, DiffusionOrder):
            for adapter in order.adapters.values():
                if await self._desk.lacks(adapter):
                    raise await self._desk.refusal(adapter)
        await self._start(order.deadline, *families)

    async def _start(self, deadline: Deadline, *families: str) -> None:
        """Refuse what cannot run, and have what does not run yet started."""
        for family in families:
            self._full.check(family)
            await self._capacity.require(family, min(self.config.cold_wait_s, deadline.left_s))

    async def _is_held(self, spec: ModelSpec) -> bool:
        """Whether a replica, maybe on another node, has loaded the model."""
        return spec.name in (await self._shared.now()).replicas_holding

    async def _chosen_for(self, body: Body) -> str | None:
        """The default model set over the API, for a body that names none."""
        return None if body.fields.get("model") else (await self._shared.now()).default_model

    def _order(
        self, read: OrderReader, body: Body, chosen: str | None, deadline: Deadline
    ) -> tuple[EraseOrder | DiffusionOrder, str]:
        """Everything but the pictures, and the family's name. Looks at files: call on a thread."""

        def find(name: str | None) -> Found:
            spec, _ = self._routes.find_eraser(name, chosen)
            return Found(spec, self._routes.adapters(spec))

        order = read(body, find, deadline)
        return order, self._routes.find(order.spec.name)[1]

    def _text_order(
        self, body: Body, chosen: str | None, deadline: Deadline
    ) -> tuple[EraseOrder, str, TextOrder]:
        fields, rest = read_fields(RemoveTextFields, body.fields)
        spec, family = self._routes.find_text_eraser(fields.model, chosen)
        order = make_erase_order(spec, fields, rest, deadline)
        return order, family, make_text_order(fields)

    def _painter(self, family: str, order: EraseOrder, retry: RetryOnce) -> Painter:
        return Painter(self._families[family], order, retry, self.config.max_tiles_in_flight)

    def _reader(self, options: ReadOptions, deadline: Deadline, retry: RetryOnce) -> Reader:
        family = self._readers[self._routes.find_reader()[1]]
        return Reader(family, options, deadline, retry, self.config.max_tiles_in_flight)

    def cancel_here(self, request_id: str) -> bool:
        """Cancel a request that this ingress replica runs; False when it does not."""
        return self._running.cancel(request_id)

    async def models(self) -> ModelList:
        """Everything that can be asked for."""
        return await self._bench.threads.run((await self._cards()).all)

    async def model(self, name: str) -> ModelCard:
        """One of them; UnknownModelError or FamilyMissingError when it is not served."""
        spec, family = self._routes.find(name)
        return await self._bench.threads.run((await self._cards()).of, spec, family)

    async def _cards(self) -> Cards:
        state, refusals = await self._shared.now(), await self._capacity.refusals()
        return Cards(self._routes, state, refusals, self._desk.downloads)

    @property
    def erasers(self) -> tuple[ModelSpec, ...]:
        """Every model that repaints, as the catalog orders them."""
        return tuple(spec for spec, _ in self._routes.served if spec.kind is not Kind.OCR)

    @property
    def reads_text(self) -> bool:
        """Whether a family of this server reads text."""
        return any(spec.kind is Kind.OCR for spec, _ in self._routes.served)

    @property
    def reader(self) -> ModelSpec:
        """The model that reads text; FamilyMissingError where there is none."""
        return self._routes.find_reader()[0]

    def adapters(self, spec: ModelSpec) -> tuple[AdapterSpec, ...]:
        """What can complete a model, as the catalog orders it."""
        return self._routes.adapters(spec)

    async def default_model(self) -> ModelSpec:
        """Who answers a request that names no model."""
        chosen = (await self._shared.now()).default_model
        spec, _ = await self._bench.threads.run(self._routes.find_eraser, None, chosen)
        return spec

    async def choose_default(self, name: str) -> ModelSpec:
        """Let the model called `name` answer such requests, on every ingress replica.

        This one does so at once, the others within STATE_LIFETIME_S. A restart of the Registry
        brings the config's default back.

        Raises:
            UnknownModelError, FamilyMissingError, ParamsError: it does not repaint here; nothing
                is changed.
            UnavailableError: the Registry does not answer.
        """
        known, _ = self._routes.find(name)
        spec, _ = self._routes.find_eraser(known.name)
        await self._shared.choose_default(spec.name)
        return spec

    async def readiness(self) -> Readiness:
        """How every family is; see Capacity.sight."""
        sight = await self._capacity.sight(self._routes.families)
        age_s = None if sight.age_s is None else round(sight.age_s, 1)
        return Readiness(ready=sight.is_ready, families=dict(sight.conditions), seen_s_ago=age_s)

    @property
    def max_body_bytes(self) -> int:
        """Largest request body."""
        return self.config.max_body_mb * MiB


def _upload(body: Body, holes: Holes) -> Upload:
    """The pictures of a request; an empty example, as of a form's field left open, is none."""
    image, mask = body.take("image", "a picture"), body.take("mask", "a mask of its size")
    return Upload(image, mask, body.files.get(EXAMPLE) or None, holes)
