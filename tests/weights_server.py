"""A server of weights on the loopback interface, which misbehaves as it is told to.

It plays a plain file server with ranges and validators (RFC 9110), and the part of a model hub's
API that huggingface_hub calls.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

PIECE_BYTES = 1024


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer. The default: nothing."""

    status: int | None = None
    """Answer this, without a body of weights."""
    cut_after: int | None = None
    """End the connection after so many bytes of the body."""
    stall_after: int | None = None
    """Send nothing more after so many bytes of the body, until the server is closed."""
    trickle_s: float | None = None
    """Wait so long after every byte."""
    content_range: str | None = None
    """Claim this instead of the truth."""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """Sent as well; None leaves a header out."""


@dataclass
class Served:
    """One file."""

    content: bytes
    etag: str | None
    has_ranges: bool
    last_modified: str | None = None


@dataclass(frozen=True)
class Asked:
    """A request that came in."""

    method: str
    path: str
    headers: Mapping[str, str]


class WeightsServer:
    """Files, faults for the next answers, and a record of what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self.gate = threading.Event()
        """Answers with a body wait for it; open unless a test closes it."""
        self.gate.set()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def put(self, path: str, content: bytes, **options) -> str:
        """Serve a file; its address."""
        etag = f'"{hashlib.sha1(content).hexdigest()}"'  # noqa: S324
        known: dict[str, Any] = {"etag": etag, "has_ranges": True} | options
        self.files[path] = Served(content, **known)
        return self.url + path

    def fail(self, path: str, *faults: Fault) -> None:
        """Let the next answers about `path` go wrong, one fault each."""
        self.faults.setdefault(path, []).extend(faults)

    def put_repository(self, repo_id: str, files: Mapping[str, bytes]) -> None:
        """Serve a repository of the hub."""
        self.repositories[repo_id] = dict(files)

    def clear(self) -> None:
        """Forget everything, for the next test."""
        for known in (self.files, self.repositories, self.faults, self.asked):
            known.clear()
        self.gate.set()

    def requests_of(self, path: str) -> list[Asked]:
        """What was asked about a path, in order."""
        return [asked for asked in self.asked if asked.path == path]

    def run(self) -> None:
        """Answer until closed."""
        self._http.serve_forever(poll_interval=0.02)

    def close(self) -> None:
        """End it, and every answer that hangs."""
        self.closing.set()
        self.gate.set()
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def weights_server() -> Iterator[WeightsServer]:
    """A running server."""
    server = WeightsServer()
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: WeightsServer

    def log_message(self, format, *args) -> None:
        """Nothing is printed."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.owner.asked.append(Asked(self.command, path, dict(self.headers)))
        faults = self.owner.faults.get(path, [])
        fault = faults.pop(0) if faults and self.command == "GET" else Fault()
        if fault.status is not None:
            return self._send(fault.status, b"an error page", {}, Fault(headers=fault.headers))
        if path in self.owner.files:
            return self._send_file(self.owner.files[path], fault)
        self._send_hub(path, fault)

    def _send_file(self, served: Served, fault: Fault) -> None:
        headers = {"ETag": served.etag, "Last-Modified": served.last_modified}
        offset = self._offset(served)
        if offset is None:
            return self._send(200, served.content, headers, fault)
        size = len(served.content)
        if offset >= size:
            return self._send(416, b"", headers | {"Content-Range": f"bytes */{size}"}, fault)
        true_range = f"bytes {offset}-{size - 1}/{size}"
        headers["Content-Range"] = fault.content_range or true_range
        self._send(206, served.content[offset:], headers, fault)

    def _offset(self, served: Served) -> int | None:
        """Where the body begins by the request's Range; None for a whole one."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        is_same = condition is None or condition in {served.etag, served.last_modified}
        return int(match[1]) if match and served.has_ranges and is_same else None

    def _send_hub(self, path: str, fault: Fault) -> None:
        pattern = r"(?:/api/models)?/(?P<id>[^/]+/[^/]+?)(?:/(?:revision|tree|resolve)/[^/]+)?"
        match = re.fullmatch(rf"{pattern}(?:/(?P<name>.+))?", path)
        repo_id, name = (match["id"], match["name"]) if match else ("", None)
        files = self.owner.repositories.get(repo_id)
        if files is None:
            code = {"X-Error-Code": "RepoNotFound"} if repo_id else {}
            return self._send(404, b'{"error": "Repository not found"}', code, fault)
        commit = commit_of(files)
        if name in files:
            content = files[name]
            headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": commit}
            return self._send(200, content, headers, fault)
        if name:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, fault)
        entries = [
            {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
            for name, content in files.items()
        ]
        card: dict[str, Any] = {
            "id": repo_id,
            "modelId": repo_id,
            "sha": commit,
            "siblings": [],
            "tags": [],
        }
        answer = entries if "/tree/" in path else card
        headers = {"Content-Type": "application/json"}
        self._send(200, json.dumps(answer).encode(), headers, fault)

    def _send(self, status, content: bytes, headers, fault: Fault) -> None:
        self.send_response(status)
        known = {"Content-Length": str(len(content)), **headers, **fault.headers}
        for name, value in known.items():
            if value is not None:
                self.send_header(name, value)
        if known["Content-Length"] is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(content, fault)

    def _send_body(self, content: bytes, fault: Fault) -> None:
        self.owner.gate.wait()
        if fault.trickle_s is not None:
            for value in content:
                self.wfile.write(bytes([value]))
                if self.owner.closing.wait(fault.trickle_s):
                    return
        end = fault.cut_after if fault.cut_after is not None else fault.stall_after
        self.wfile.write(content[:end])
        if fault.stall_after is not None:
            self.wfile.flush()
            self.owner.closing.wait()
        if end is not None:
            self.close_connection = True


def commit_of(files: Mapping[str, bytes]) -> str:
    """The commit that the hub tells of these files."""
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()  # noqa: S324
