from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from inpaint.errors import OverloadedError
from serve_app.memory import Memory


@pytest.fixture
def memory():
    return Memory(100, "as many pictures")


def test_a_share_ends_with_its_block_even_by_an_error(memory):
    with memory.share() as share:
        share.take(30)
        share.take(20)
        assert memory.held == 50
    assert memory.held == 0
    with pytest.raises(OverloadedError), memory.share() as share, memory.share() as other:  # noqa: PT012
        share.take(70)
        other.take(70)
    assert memory.held == 0


def test_what_finds_no_room_is_refused_and_counts_nothing(memory):
    with memory.share() as first, memory.share() as second:
        first.take(60)
        second.take(40)
        with pytest.raises(OverloadedError, match="as many pictures as it has memory") as caught:
            second.take(1)
        assert caught.value.retry_after_s
        assert memory.held == 100


def test_a_request_that_needs_more_than_all_runs_alone(memory):
    with memory.share() as large:
        large.take(70)
        large.take(7000)
        assert memory.held == 100
        with memory.share() as small, pytest.raises(OverloadedError):
            small.take(1)
    with memory.share() as small:
        small.take(1)
        with memory.share() as large, pytest.raises(OverloadedError):
            large.take(7000)


def test_what_is_there_already_is_never_refused_but_keeps_others_out(memory):
    with memory.share() as share:
        share.add(150)
        with memory.share() as other, pytest.raises(OverloadedError):
            other.take(1)
        share.add(-150)
        with memory.share() as other:
            other.take(100)


def test_a_share_that_has_ended_counts_nothing(memory):
    with memory.share() as share:
        share.take(10)
    share.take(10)
    share.add(10)
    assert memory.held == 0


def test_a_new_limit_holds_for_what_comes(memory):
    with memory.share() as share:
        share.take(90)
        memory.limit = 50
        with memory.share() as other, pytest.raises(OverloadedError):
            other.take(1)
        memory.limit = 200
        with memory.share() as other:
            other.take(110)


def test_threads_count_one_sum(memory):
    memory.limit = 10**9
    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        shares = [stack.enter_context(memory.share()) for _ in range(8)]
        list(pool.map(lambda number: shares[number % 8].take(3), range(4000)))
        assert memory.held == 12_000
        assert sum(share.held for share in shares) == 12_000
    assert memory.held == 0
