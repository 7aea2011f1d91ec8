import pytest

from inpaint.errors import OverloadedError
from serve_app.full_families import FULL_FOR_S, FullFamilies


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def full(clock):
    return FullFamilies(clock)


def refuse(full, context):
    with pytest.raises(OverloadedError), full.noted():
        raise OverloadedError("The queue is full.", context)


def test_a_full_queue_is_told_again_for_a_moment_and_of_this_family_alone(full, clock):
    refuse(full, {"family": "Erase", "retry_after_s": 7.0})
    with pytest.raises(OverloadedError, match="The queue is full") as caught:
        full.check("Erase")
    assert caught.value.retry_after_s == 7.0
    full.check("SDXL")
    clock.now += 1.01 * FULL_FOR_S
    full.check("Erase")


def test_repeating_a_refusal_does_not_prolong_it(full, clock):
    refuse(full, {"family": "Erase"})
    clock.now += 0.9 * FULL_FOR_S
    with pytest.raises(OverloadedError), full.noted():
        full.check("Erase")
    clock.now += 0.2 * FULL_FOR_S
    full.check("Erase")


def test_a_lack_of_memory_says_nothing_about_a_family(full):
    refuse(full, {"held_bytes": 1})
    full.check("Erase")
