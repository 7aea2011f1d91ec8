"""Downloading one file over HTTP: resumed where it stopped, checked, and never seen half.

HTTP's rules for going on with a file (Range, If-Range, Content-Range): RFC 9110, 13.1.5 and 14.
"""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import requests
import urllib3

from deployments.weights.disk import FULL
from deployments.weights.layout import shown
from deployments.weights.part import Part, part_of
from deployments.weights.progress import OnProgress, Progress
from inpaint.errors import DownloadError

__all__ = ["PATIENCE", "Patience", "Source", "download", "part_of"]

PIECE_BYTES = 2**18
"""Largest piece that is held in memory."""
LASTING_BYTES = 2**20
"""An attempt that gets so much further does not count as failed."""
TRICKLE_BYTES = 1024
"""A server that sends less than this in `stall_s` has stalled."""

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from."""

    url: str
    md5: str | None
    """In hexadecimal; None: nobody has stated one."""
    said: str
    """What messages call it: an operator's own address may hold a password."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for."""

    connect_s: float = 10.0
    stall_s: float = 30.0
    attempts: int = 5
    """In a row that got nowhere."""
    pause_s: float = 1.0
    """After the first failed attempt; twice as long after the second, and so on."""


PATIENCE = Patience()


class _InterruptedError(Exception):
    """An attempt ended early; another one may help."""


def download(
    source: Source, target: Path, on_progress: OnProgress, patience: Patience = PATIENCE
) -> str:
    """Fetch `source` to `target`, of which the caller holds the lock.

    Proxies are those of the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY). What has arrived
    stays as `<name>.part` when the server fails, and the next call goes on from there if the
    server still has the same file; a wrong checksum or a full disk removes it.

    Returns:
        The MD5 of the file, in hexadecimal.

    Raises:
        DownloadError: the server does not deliver, or what it delivers is not the file.
        OSError: the disk is full, or may not be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Part(target, source.url)
    try:
        with requests.Session() as session:
            _Download(source, part, on_progress, patience, session).run()
        digest = part.digest.hexdigest()
        if source.md5 is not None and digest != source.md5:
            part.remove()
            raise DownloadError(
                f"{target.name} is not the published file: its MD5 is {digest} instead of "
                f"{source.md5}. It was removed. Fetch it again, or get it from {source.said}.",
                {"url": shown(source.url)},
            )
        part.finish()
    except OSError as error:
        if error.errno in FULL:
            part.remove()  # so that the rest of the machine has room
        raise
    return digest


class _Download:
    """One download, over as many requests as it takes."""

    def __init__(
        self,
        source: Source,
        part: Part,
        on_progress: OnProgress,
        patience: Patience,
        session: requests.Session,
    ) -> None:
        self._source = source
        self._part = part
        self._on_progress = on_progress
        self._patience = patience
        self._session = session

    def run(self) -> None:
        """Ask until the part is whole."""
        failures, furthest = 0, self._part.size
        while not self._part.is_whole:
            try:
                return self._attempt()
            except _InterruptedError as error:
                got_on = self._part.size - furthest >= LASTING_BYTES
                furthest = max(furthest, self._part.size)
                failures = 1 if got_on else failures + 1
                if failures >= self._patience.attempts:
                    raise self._error(f"{error} ({failures} attempts)") from error
            time.sleep(self._patience.pause_s * failures)

    def _attempt(self) -> None:
        try:
            timeout = (self._patience.connect_s, self._patience.stall_s)
            with self._session.get(
                self._source.url, headers=self._headers(), stream=True, timeout=timeout
            ) as response:
                self._begin(response)
                self._check_room()
                with self._part.appending() as append:
                    self._copy(response, append)
        except requests.RequestException as error:
            raise self._explained(error) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._explained(error) from error
        if self._part.total is not None and not self._part.is_whole:
            raise _InterruptedError("the connection broke off")

    def _headers(self) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "inpaint-serve"}
        if self._part.size and self._part.validator:
            headers["Range"] = f"bytes={self._part.size}-"
            headers["If-Range"] = self._part.validator
        return headers

    def _begin(self, response: requests.Response) -> None:
        """Make the part fit the answer: go on with it, or begin anew."""
        status = response.status_code
        if status == HTTPStatus.PARTIAL_CONTENT and self._continues(response):
            return
        if status == HTTPStatus.OK:
            return self._restart(response)
        if status in {HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
            self._part.remove()
            raise _InterruptedError("the server sent a part of the file that does not fit")
        if status in _AGAIN:
            raise _InterruptedError(f"the server answered {_phrase(status)}")
        raise self._error(f"the server answered {_phrase(status)}")

    def _continues(self, response: requests.Response) -> bool:
        """Whether the body begins where the part ends, and belongs to the same file."""
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != self._part.size:
            return False
        total = None if match[3] == "*" else int(match[3])
        etag = response.headers.get("ETag")
        is_other_file = etag is not None and _validator(response) != self._part.validator
        return not is_other_file and total in {self._part.total, None}

    def _restart(self, response: requests.Response) -> None:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise self._error("the server sends it compressed, unasked")
        length = response.headers.get("Content-Length", "")
        self._part.restart(_validator(response), int(length) if length.isdecimal() else None)

    def _check_room(self) -> None:
        if self._part.total is None:
            return
        missing = self._part.total - self._part.size
        free = shutil.disk_usage(self._part.path.parent).free
        if missing > free:
            raise self._error(
                f"it needs {missing / 1e6:.0f} MB more, and the disk of the model directory has "
                f"{free / 1e6:.0f} MB left"
            )

    def _copy(self, response: requests.Response, append: Callable[[bytes], None]) -> None:
        self._tell()
        for piece in self._pieces(response):
            append(piece)
            self._tell()

    def _pieces(self, response: requests.Response) -> Iterator[bytes]:
        """The body as it comes in; a trickle counts as a stall."""
        since, arrived = time.monotonic(), 0
        while piece := response.raw.read1(PIECE_BYTES, decode_content=False):
            yield piece
            arrived += len(piece)
            if time.monotonic() - since > self._patience.stall_s:
                if arrived < TRICKLE_BYTES:
                    raise _InterruptedError("the server is too slow")
                since, arrived = time.monotonic(), 0

    def _tell(self) -> None:
        self._on_progress(Progress(self._part.target.name, self._part.size, self._part.total))

    def _explained(self, error: Exception) -> Exception:
        """Ours for what the HTTP library raises, whose texts hold addresses."""
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
            return self._error("its address is none")
        timeouts = (requests.Timeout, urllib3.exceptions.TimeoutError)
        if isinstance(error, timeouts):
            return _InterruptedError("the server did not answer in time")
        if isinstance(error, requests.ConnectionError):
            return _InterruptedError("the server cannot be reached, or ended the connection")
        return _InterruptedError("the connection broke off")

    def _error(self, reason: str) -> DownloadError:
        return DownloadError(
            f"{self._part.target.name} could not be fetched from {self._source.said}: {reason}.",
            {"url": shown(self._source.url)},
        )


def _validator(response: requests.Response) -> str | None:
    """By what If-Range can tell that the file is still the same: a strong ETag, or a date."""
    etag = response.headers.get("ETag", "")
    if etag.startswith('"'):
        return etag
    return response.headers.get("Last-Modified")


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
