"""When a call counts as hung."""

import asyncio
import threading

import pytest

from deployments.device_thread import Blame, DeviceThread
from deployments.family import FamilySetup

BLAME = Blame("failed", "too large", {})


@pytest.mark.parametrize(("patience", "is_hung"), [(1.0, True), (1e6, False)])
async def test_a_call_that_may_take_longer_hangs_later(patience, is_hung):
    thread, began, gate = DeviceThread("test"), threading.Event(), threading.Event()

    def call():
        began.set()
        gate.wait(10)

    running = asyncio.create_task(thread.run(call, BLAME, patience))
    try:
        assert await asyncio.to_thread(began.wait, 10)
        await asyncio.sleep(0.005)
        if is_hung:
            with pytest.raises(RuntimeError, match="has run for over"):
                thread.check(0.001)
        else:
            thread.check(0.001)
    finally:
        gate.set()
        await running
    thread.check(0.001)


@pytest.mark.parametrize(
    ("gpu_share", "configured", "expected_s"),
    [(0.0, None, 600), (0.25, None, 60), (0.0, 5.0, 5), (0.25, 500.0, 500)],
)
def test_a_forward_on_a_gpu_hangs_sooner_unless_told_otherwise(gpu_share, configured, expected_s):
    setup = FamilySetup("Erase", (), gpu_share=gpu_share)
    assert setup.hang_after_s(configured) == expected_s
