"""The client for code that waits."""

import time
from collections.abc import Generator
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from inpaint_client import calls
from inpaint_client.calls import Call
from inpaint_client.errors import InpaintClientError, UnknownRequestError, error_in, lost
from inpaint_client.events import Event, EventReader
from inpaint_client.params import InpaintParams, OcrParams, RemoveTextParams
from inpaint_client.pictures import Picture, read_picture
from inpaint_client.results import FoundText, ModelCard, ModelList, Painted, TextRemoval
from inpaint_client.retries import Attempts, RetryPolicy

T = TypeVar("T")


class Client:
    """A server's native API. Threads may share it.

    Every call raises ApiError where the server answers with a problem, and NoAnswerError where
    nobody answers; both after as many retries as `retries` allows.

    Args:
        url: the server's, such as "http://127.0.0.1:8080", with the application's route prefix if
            it has one.
        api_key: sent as `Authorization: Bearer`.
        timeout_s: time budget of each call that states none, retries included; None: the server's
            own for each attempt.
        retries: how often a call is repeated that may succeed then; NO_RETRIES: never.
        http: an httpx client with proxies, certificates and so on of one's own, which stays open.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float | None = None,
        retries: RetryPolicy = RetryPolicy(),  # noqa: B008  frozen
        http: httpx.Client | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._retries = retries
        self._http = http or httpx.Client()
        self._is_http_ours = http is None

    def inpaint(
        self,
        image: Picture,
        mask: Picture,
        *,
        example: Picture | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
        **params: Unpack[InpaintParams],
    ) -> Painted:
        """Repaint what the mask marks; all other pixels stay.

        Args:
            image: the picture.
            mask: of the same size; white is repainted.
            example: what the hole should show, for models that take an example picture.
            request_id: by which the request can be cancelled; made up if absent.
            timeout_s: time budget of this call, retries included.
            params: see InpaintParams; `model` names who paints.
        """
        pictures = read_pictures(image, mask, example)
        return self._answer(calls.inpaint(pictures, request_id, params), timeout_s)

    def inpaint_stream(
        self,
        image: Picture,
        mask: Picture,
        *,
        example: Picture | None = None,
        previews: bool = False,
        request_id: str | None = None,
        timeout_s: float | None = None,
        **params: Unpack[InpaintParams],
    ) -> Generator[Event, None, None]:
        """The same, step by step: Started, Step, now and then Restarted, and at last Finished.

        Whoever stops iterating and closes the generator (leaving the loop does, if nobody else
        keeps it) ends the request on the server, too. Only what fails before the first event is
        tried again.

        Args:
            image: see `inpaint`, as of all that is not named here.
            mask: see there.
            example: see there.
            previews: whether steps bring a coarse picture.
            request_id: see there.
            timeout_s: see there.
            params: see there.
        """
        pictures = read_pictures(image, mask, example)
        fields = {**params, "previews": previews}
        return self._events(calls.inpaint_stream(pictures, request_id, fields), timeout_s)

    def remove_text(
        self,
        image: Picture,
        *,
        request_id: str | None = None,
        timeout_s: float | None = None,
        **params: Unpack[RemoveTextParams],
    ) -> TextRemoval:
        """Find the text of a picture, erase it, and check that it is gone.

        Args:
            image: the picture.
            request_id: see `inpaint`.
            timeout_s: see `inpaint`.
            params: see RemoveTextParams; with `dry_run` nothing is erased.
        """
        call = calls.remove_text(read_picture(image), request_id, params)
        return self._answer(call, timeout_s)

    def find_text(
        self,
        image: Picture,
        *,
        request_id: str | None = None,
        timeout_s: float | None = None,
        **params: Unpack[OcrParams],
    ) -> FoundText:
        """Find the text of a picture: where it is, what it says, how sure that is.

        Args:
            image: the picture.
            request_id: see `inpaint`.
            timeout_s: see `inpaint`.
            params: see OcrParams.
        """
        return self._answer(calls.find_text(read_picture(image), request_id, params), timeout_s)

    def models(self) -> ModelList:
        """What can be asked for, and in what state it is."""
        return self._answer(calls.models(), None)

    def model(self, name: str) -> ModelCard:
        """One model, by its name or an alias."""
        return self._answer(calls.model(name), None)

    def cancel(self, request_id: str) -> bool:
        """Cancel a running request; False if none of this id runs (any more)."""
        try:
            return self._answer(calls.cancel(request_id), None)
        except UnknownRequestError:
            return False

    def close(self) -> None:
        """Close the connections, if the httpx client is this one's own."""
        if self._is_http_ours:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _answer(self, call: Call[T], timeout_s: float | None) -> T:
        attempts = self._attempts(timeout_s)
        while True:
            try:
                answer = self._send(call, attempts)
                return call.result(answer)
            except InpaintClientError as error:
                time.sleep(attempts.pause_after(error))

    def _events(self, call: Call[None], timeout_s: float | None) -> Generator[Event, None, None]:
        answer = self._opened(call, self._attempts(timeout_s))
        reader = EventReader()
        try:
            for piece in answer.iter_bytes():
                yield from reader.feed(piece)
        except httpx.TransportError as error:
            raise lost(error) from error
        finally:
            answer.close()
        reader.close()

    def _opened(self, call: Call[None], attempts: Attempts) -> httpx.Response:
        """A stream that has begun."""
        while True:
            try:
                return self._send(call, attempts, stream=True)
            except InpaintClientError as error:
                time.sleep(attempts.pause_after(error))

    def _send(self, call: Call[T], attempts: Attempts, stream: bool = False) -> httpx.Response:
        """The answer, a success; its body has been read unless it is a stream."""
        request = call.request(self._url, self._api_key, attempts.left_s)
        try:
            answer = self._http.send(self._http.build_request(**request), stream=stream)
            if not answer.is_success:
                answer.read()
        except httpx.TransportError as error:
            raise lost(error) from error
        if not answer.is_success:
            raise error_in(answer)
        return answer

    def _attempts(self, timeout_s: float | None) -> Attempts:
        return Attempts(self._retries, self._timeout_s if timeout_s is None else timeout_s)


def read_pictures(image: Picture, mask: Picture, example: Picture | None) -> dict[str, bytes]:
    """The files of POST /inpaint, by field."""
    named = {"image": image, "mask": mask, calls.EXAMPLE: example}
    return {name: read_picture(file) for name, file in named.items() if file is not None}
