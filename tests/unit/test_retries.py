"""Asking again after a lost replica, and refusing the inputs that lose one twice."""

import asyncio

import pytest

from inpaint.errors import InputRefusedError, ModelError, ReplicaLostError
from inpaint.jobs import Upload
from serve_app.retries import RefusedInputs, RetryOnce

UPLOAD = Upload(b"picture", b"mask")


def script(*steps):
    """An attempt that raises or answers the next of `steps`, and the list of what it did."""
    done = []

    async def attempt():
        step = steps[len(done)]
        done.append(step)
        if isinstance(step, Exception):
            raise step
        return step

    return attempt, done


async def test_retry_asks_once_where_nothing_is_lost():
    attempt, done = script("answer")
    assert await RetryOnce(UPLOAD, RefusedInputs(60))(attempt) == "answer"
    assert done == ["answer"]


async def test_retry_asks_again_after_a_loss():
    refused = RefusedInputs(60)
    attempt, done = script(ReplicaLostError("gone"), "answer")
    assert await RetryOnce(UPLOAD, refused)(attempt) == "answer"
    assert len(done) == 2
    await refused.check(UPLOAD)


async def test_retry_refuses_the_input_after_the_second_loss():
    refused = RefusedInputs(60)
    attempt, done = script(ReplicaLostError("gone"), ReplicaLostError("gone too"), "answer")
    with pytest.raises(ReplicaLostError, match="gone too"):
        await RetryOnce(UPLOAD, refused)(attempt)
    assert len(done) == 2
    with pytest.raises(InputRefusedError, match="refused for 60 s"):
        await refused.check(UPLOAD)


async def test_retry_counts_for_the_request_and_not_for_each_call():
    refused = RefusedInputs(60)
    retry = RetryOnce(UPLOAD, refused)
    assert await retry(script(ReplicaLostError("gone"), 1)[0]) == 1
    assert await retry(script(2)[0]) == 2
    with pytest.raises(ReplicaLostError):
        await retry(script(ReplicaLostError("gone"), 3)[0])
    with pytest.raises(InputRefusedError):
        await refused.check(UPLOAD)


@pytest.mark.parametrize("before", [[], [ReplicaLostError("gone")]])
async def test_retry_is_for_lost_replicas_only(before):
    refused = RefusedInputs(60)
    attempt, done = script(*before, ModelError("failed"), "answer")
    with pytest.raises(ModelError):
        await RetryOnce(UPLOAD, refused)(attempt)
    assert len(done) == len(before) + 1
    await refused.check(UPLOAD)


async def test_refused_input_is_known_by_its_bytes():
    refused = RefusedInputs(60)
    await refused.add(UPLOAD)
    with pytest.raises(InputRefusedError):
        await refused.check(Upload(memoryview(b"picture"), memoryview(b"mask")))
    await refused.check(Upload(b"picture", b"another mask"))
    await refused.check(Upload(b"mask", b"picture"))
    await refused.check(Upload(b"picturem", b"ask"))
    await refused.check(Upload(b"picture", b"mask", b"an example"))


async def test_refused_input_is_forgotten_after_its_lifetime():
    refused = RefusedInputs(0.02)
    await refused.add(UPLOAD)
    with pytest.raises(InputRefusedError):
        await refused.check(UPLOAD)
    await asyncio.sleep(0.025)
    await refused.check(UPLOAD)


async def test_refusing_can_be_switched_off():
    refused = RefusedInputs(0)
    await refused.add(UPLOAD)
    await refused.check(UPLOAD)


async def test_everybody_who_asked_is_told_before_the_second_attempt():
    told = []
    retry = RetryOnce(UPLOAD, RefusedInputs(60), lambda: told.append(1), lambda: told.append(2))
    await retry(script(ReplicaLostError("gone"), "answer")[0])
    assert told == [1, 2]
