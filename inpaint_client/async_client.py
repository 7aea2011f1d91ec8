"""The client for code that awaits. Methods do what Client's of the same name do."""

import asyncio
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from inpaint_client import calls
from inpaint_client.calls import Call
from inpaint_client.client import read_pictures
from inpaint_client.errors import InpaintClientError, UnknownRequestError, error_in, lost
from inpaint_client.events import Event, EventReader
from inpaint_client.params import InpaintParams, OcrParams, RemoveTextParams
from inpaint_client.pictures import Picture, read_picture
from inpaint_client.results import FoundText, ModelCard, ModelList, Painted, TextRemoval
from inpaint_client.retries import Attempts, RetryPolicy

T = TypeVar("T")


class AsyncClient:
    """A server's native API, under asyncio. A cancelled task ends its request on the server, too.

    Args:
        url: see Client, as of all others.
        api_key: see Client.
        timeout_s: see Client.
        retries: see Client.
        http: an httpx client of one's own, which stays open.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float | None = None,
        retries: RetryPolicy = RetryPolicy(),  # noqa: B008  frozen
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._retries = retries
        self._http = http or httpx.AsyncClient()
        self._is_http_ours = http is None

    async def inpaint(
        self,
        image: Picture,
        mask: Picture,
        *,
        example: Picture | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
        **params: Unpack[InpaintParams],
    ) -> Painted:
        """See Client.inpaint."""
        pictures = await asyncio.to_thread(read_pictures, image, mask, example)
        return await self._answer(calls.inpaint(pictures, request_id, params), timeout_s)

    async def inpaint_stream(
        self,
        image: Picture,
        mask: Picture,
        *,
        example: Picture | None = None,
        previews: bool = False,
        request_id: str | None = None,
        timeout_s: float | None = None,
        **params: Unpack[InpaintParams],
    ) -> AsyncGenerator[Event, None]:
        """See Client.inpaint_stream. Whoever may leave the loop early closes it by
        `async with contextlib.aclosing(client.inpaint_stream(...)) as events`.
        """  # noqa: D205  one sentence
        pictures = await asyncio.to_thread(read_pictures, image, mask, example)
        call = calls.inpaint_stream(pictures, request_id, {**params, "previews": previews})
        answer = await self._opened(call, self._attempts(timeout_s))
        reader = EventReader()
        try:
            async for piece in answer.aiter_bytes():
                for event in reader.feed(piece):
                    yield event
        except httpx.TransportError as error:
            raise lost(error) from error
        finally:
            await answer.aclose()
        reader.close()

    async def remove_text(
        self,
        image: Picture,
        *,
        request_id: str | None = None,
        timeout_s: float | None = None,
        **params: Unpack[RemoveTextParams],
    ) -> TextRemoval:
        """See Client.remove_text."""
        data = await asyncio.to_thread(read_picture, image)
        return await self._answer(calls.remove_text(data, request_id, params), timeout_s)

    async def find_text(
        self,
        image: Picture,
        *,
        request_id: str | None = None,
        timeout_s: float | None = None,
        **params: Unpack[OcrParams],
    ) -> FoundText:
        """See Client.find_text."""
        data = await asyncio.to_thread(read_picture, image)
        return await self._answer(calls.find_text(data, request_id, params), timeout_s)

    async def models(self) -> ModelList:
        """See Client.models."""
        return await self._answer(calls.models(), None)

    async def model(self, name: str) -> ModelCard:
        """See Client.model."""
        return await self._answer(calls.model(name), None)

    async def cancel(self, request_id: str) -> bool:
        """See Client.cancel."""
        try:
            return await self._answer(calls.cancel(request_id), None)
        except UnknownRequestError:
            return False

    async def close(self) -> None:
        """See Client.close."""
        if self._is_http_ours:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _answer(self, call: Call[T], timeout_s: float | None) -> T:
        attempts = self._attempts(timeout_s)
        while True:
            try:
                answer = await self._send(call, attempts)
                return call.result(answer)
            except InpaintClientError as error:
                await asyncio.sleep(attempts.pause_after(error))

    async def _opened(self, call: Call[None], attempts: Attempts) -> httpx.Response:
        """A stream that has begun."""
        while True:
            try:
                return await self._send(call, attempts, stream=True)
            except InpaintClientError as error:
                await asyncio.sleep(attempts.pause_after(error))

    async def _send(
        self, call: Call[T], attempts: Attempts, stream: bool = False
    ) -> httpx.Response:
        """The answer, a success; its body has been read unless it is a stream."""
        request = call.request(self._url, self._api_key, attempts.left_s)
        try:
            answer = await self._http.send(self._http.build_request(**request), stream=stream)
            if not answer.is_success:
                await answer.aread()
        except httpx.TransportError as error:
            raise lost(error) from error
        if not answer.is_success:
            raise error_in(answer)
        return answer

    def _attempts(self, timeout_s: float | None) -> Attempts:
        return Attempts(self._retries, self._timeout_s if timeout_s is None else timeout_s)
