"""Serve's own proxy, which takes in bodies whether or not anybody has a place for them."""

import json
import socket
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

from inpaint.settings import MiB
from tests.serve.conftest import PROXY_BODIES_MB, wait_for

MOST = PROXY_BODIES_MB * MiB


@contextmanager
def upload(url, length, first=b"", path="/inpaint"):
    """A connection on which a request has begun whose body is to have this many bytes."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: server\r\nContent-Length: {length}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + first)
        yield connection


def answer_on(connection):
    """Status, headers and body of the answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return int(first.split()[1]), headers, json.loads(body)


def test_bodies_beyond_the_proxys_memory_are_503_before_they_are_sent(url, client):
    with upload(url, MOST // 2, b"{"):
        time.sleep(0.3)  # its length counts as soon as its head has been read
        with upload(url, MOST // 2 + 1) as second:
            status, headers, problem = answer_on(second)
        assert (status, problem["type"]) == (503, "/problems/overloaded")
        assert int(headers["retry-after"]) >= 1
        assert headers["content-type"] == "application/problem+json"
        with upload(url, MOST // 2 + 1, path="/api/v1/inpaint") as second:
            assert answer_on(second)[2]["error"] == "OverloadedError"
        assert client.get("/models").status_code == 200
        answer = client.post("/inpaint", content=b"{}")
        assert answer.status_code < 500

    def is_there_room():
        with upload(url, MOST // 2 + 1, b"{" * 1000) as third:
            third.settimeout(0.5)
            try:
                return not third.recv(1)
            except TimeoutError:
                return True  # nobody refuses: the rest of the body is waited for

    assert wait_for(is_there_room, 10)


def test_a_client_that_sends_all_of_a_refused_body_still_gets_the_answer(url):
    """The body is read to its end and dropped."""
    with upload(url, MOST // 2, b"{"):
        time.sleep(0.3)
        with upload(url, MOST // 2 + 1) as second:
            block = b" " * MiB
            for _ in range(MOST // 2 // MiB):
                second.sendall(block)
            second.sendall(b" ")
            assert answer_on(second)[0] == 503
