"""Ending all that a program has started, whatever it is a child of."""

import signal
import subprocess
import sys
import time

import pytest

from serve_app import launch, session

CHILD = """
import os, signal, subprocess, sys, time
if "deaf" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "parent" in sys.argv:
    command = [sys.executable, "-c", sys.argv[2], "child", *sys.argv[3:]]
    child = subprocess.Popen(command, process_group=0, stdout=subprocess.PIPE)
    child.stdout.read(1)
sys.stdout.write("."); sys.stdout.flush()
time.sleep(60)
"""


@pytest.fixture
def start():
    started = []

    def start(*words):
        """A program with a child in a process group of its own; returns when both run."""
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, "parent", CHILD, *words],
            start_new_session=True,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        process.stdout.read(1)
        return process

    yield start
    for process in started:
        session.end(process.pid, 0)
        process.wait()
        process.stdout.close()


def test_children_in_groups_of_their_own_are_members(start):
    process = start()
    assert len(session.members(process.pid)) == 2


def test_what_outlives_the_parent_is_ended(start):
    process = start()
    process.kill()
    process.wait()
    assert len(session.members(process.pid)) == 1
    session.end(process.pid, 5)
    assert session.members(process.pid) == []


def test_who_does_not_listen_is_killed_after_the_grace(start):
    process = start("deaf")
    began = time.monotonic()
    session.end(process.pid, 0.3)
    assert session.members(process.pid) == []
    assert time.monotonic() - began >= 0.3
    assert process.wait() == -signal.SIGKILL


def test_a_dead_session_has_no_members(start):
    process = start()
    session.end(process.pid, 5)
    process.wait()
    session.end(process.pid, 5)
    assert session.members(process.pid) == []


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("myhost", "http://myhost:80"),
    ],
)
def test_a_browser_on_this_machine_finds_the_server(host, url):
    assert launch.url_of(host, 80) == url
