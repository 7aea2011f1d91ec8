"""What a request asks of its families, with its retry, its deadline and its share of them."""

from collections.abc import Sequence
from functools import partial

from inpaint.arrays import Image, Mask
from inpaint.deadlines import Deadline
from inpaint.jobs import DiffusionOrder, EraseOrder
from inpaint.protocols import Painted
from inpaint.texts import ReadOptions, TextRegion
from inpaint.tiles import Cut
from serve_app.families import DiffusionFamily, Family, TextFamily
from serve_app.progress import Watcher
from serve_app.retries import RetryOnce
from serve_app.side_by_side import answer_all


class Painter:
    """Runs one request's tiles through the family of its model.

    Args:
        family: serves the order's model.
        order: the model, its parameters and the deadline.
        retry: the request's right to ask again.
        at_once: most tiles that run at the same time.
    """

    def __init__(self, family: Family, order: EraseOrder, retry: RetryOnce, at_once: int) -> None:
        self._family = family
        self._order = order
        self._retry = retry
        self._at_once = at_once

    async def __call__(self, pieces: Sequence[Cut]) -> list[Painted]:
        """Answers in the order of `pieces`; see Family.paint for what is raised."""
        order = self._order
        calls = [
            partial(
                self._family.paint,
                *(order.spec.name, piece.pixels, piece.holes, order.params, order.deadline),
            )
            for piece in pieces
        ]
        return await answer_all(calls, self._retry, self._at_once)


class StepPainter:
    """Runs one request's canvas through the diffusion family of its model.

    Args:
        family: serves the order's model.
        order: the model, its parameters and the deadline.
        retry: the request's right to ask again.
        watch: told of the progress.
    """

    def __init__(
        self, family: DiffusionFamily, order: DiffusionOrder, retry: RetryOnce, watch: Watcher
    ) -> None:
        self._family = family
        self._order = order
        self._retry = retry
        self._watch = watch

    async def __call__(self, image: Image, mask: Mask, example: Image | None) -> Painted:
        """What the model painted; see Family.paint for what is raised."""
        order, watch = self._order, self._watch
        call = partial(
            self._family.paint_steps,
            *(order.spec.name, image, mask, order.params, order.deadline),
            *(watch.step, watch.previews, example),
        )
        return await self._retry(call)


class Reader:
    """Reads the text of one request's pictures through the OCR family.

    Args:
        family: reads text.
        options: how.
        deadline: the request's.
        retry: the request's right to ask again.
        at_once: most pictures that are under way at the same time.
    """

    def __init__(
        self,
        family: TextFamily,
        options: ReadOptions,
        deadline: Deadline,
        retry: RetryOnce,
        at_once: int,
    ) -> None:
        self._family = family
        self._options = options
        self._deadline = deadline
        self._retry = retry
        self._at_once = at_once

    async def __call__(self, images: Sequence[Image]) -> list[Sequence[TextRegion]]:
        """The lines of each picture, in order; see Family.paint for what is raised."""
        calls = [
            partial(self._family.read, image, self._options, self._deadline) for image in images
        ]
        answers = await answer_all(calls, self._retry, self._at_once)
        return [answer.regions for answer in answers]
