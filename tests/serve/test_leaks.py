"""A hundred mixed requests leave nothing behind; benchmarks/soak.py asks the same of thousands."""

import asyncio
import os
import time

import pytest
import ray

from benchmarks import processes, ray_state
from benchmarks.soak import SLACK, drawn, send_all
from benchmarks.soak_requests import kinds
from tests.serve.conftest import wait_for

QUICK = ("cv2", "erase migan", "json", "iopaint", "models", "broken", "no picture", "mask of",
         "unknown", "too many", "no form", "leaves while")  # fmt: skip
STORE_SLACK_MIB = 0.1


@pytest.fixture(scope="module")
def known():
    return [kind for kind in kinds() if kind.name.startswith(QUICK)]


def counts():
    """Threads and open files of each process that serves."""
    serving = (one for one in processes.held_by(os.getpid()) if one.kind in processes.SERVING)
    return {(one.name, one.pid): {what: getattr(one, what) for what in SLACK} for one in serving}


def test_objects_threads_and_files_are_given_back(url, known):
    address = ray.get_runtime_context().gcs_address
    assert not asyncio.run(send_all(url, drawn(known, 50), 0, {}))
    time.sleep(1)
    before, (stored_mib, _) = counts(), ray_state.stored(address)
    assert not asyncio.run(send_all(url, drawn(known, 100), 50, {}))
    most = stored_mib + STORE_SLACK_MIB
    assert wait_for(lambda: ray_state.stored(address)[0] <= most, 20)
    after = counts()
    assert len(before) > 5  # the look has not gone blind
    assert set(before) <= set(after)
    grown = {
        key: (before[key], after[key])
        for key in before
        if any(after[key][what] > before[key][what] + 2 * slack for what, slack in SLACK.items())
    }
    assert not grown
