"""Bad input of every kind gets an answer that names what is wrong with it, and leaves nothing.

`-m chaos` sends 10,000 and more of them; FUZZ_SEED chooses which, FUZZ_TABLE gets the counts.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.conftest import SHARES
from tests.fuzz.files import BOMBS, SAMPLES, edits
from tests.fuzz.tally import Table, Tally
from tests.fuzz.target import Sent
from tests.fuzz.verdict import check

FEW, MANY = 1_200, 12_500
"""Inputs of the default run and of the long one, of which some are good by chance."""

BAD = 10_000
"""How many the long one must have had refused."""

WARM_UP = 3_000
"""After so many inputs of all kinds the allocator has seen every size that there is."""

GROWTH = 1.03
"""How much larger the process may be after the long run."""


def send_all(name, surface, count, seeded=None):
    """Send `count` inputs of a surface; an AssertionError has the smallest bad answer's."""
    strategy, ask = surface
    tally = Tally(name)

    @settings(
        max_examples=count,
        derandomize=seeded is None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(drawn):
        tally.add(ask(drawn))

    (one if seeded is None else seed(seeded)(one))()
    return tally


@pytest.mark.parametrize("name", SHARES)
def test_bad_input_is_refused_by_name_and_leaves_nothing_behind(target, surfaces, name):
    before = target.state()
    tally = send_all(name, surfaces[name], int(FEW * SHARES[name]))
    after = target.state()
    assert tally.bad > tally.good
    assert left_by(after) == left_by(before)


def test_bombs_are_answered_in_time(target):
    before = target.state()
    for number, bomb in enumerate(BOMBS):
        ways = edits(bomb)
        for sent in (ways[3], ways[number % len(ways)]):  # once as picture and mask, once elsewhere
            check(sent, target.ask(sent))
    assert left_by(target.state()) == left_by(before)


def test_the_files_that_are_damaged_here_are_sound(target):
    statuses = [target.ask(edits(sample)[0]).status for sample in SAMPLES]
    assert set(statuses) == {422}  # the mask has another size, which is seen once both are decoded


@pytest.mark.chaos
def test_bombs_are_answered_in_time_on_every_route(target):
    for bomb in BOMBS:
        for sent in edits(bomb):
            check(sent, target.ask(sent))


@pytest.mark.chaos
def test_ten_thousand_bad_inputs_leave_the_service_as_it_was(target, surfaces):
    seeded = int(os.environ.get("FUZZ_SEED", "1"))
    table, total = Table(), Tally("all")
    for name, surface in surfaces.items():
        send_all(name, surface, int(WARM_UP * SHARES[name]), seeded + 1)
    first = target.state()
    for name, surface in surfaces.items():
        before = target.state()
        tally = send_all(name, surface, int(MANY * SHARES[name]), seeded)
        table.add(tally.line(before, target.state()))
        total += tally
    last = target.state()
    table.add(total.line(first, last))
    assert total.bad >= BAD
    assert left_by(last) == left_by(first)
    assert last.resident_bytes < GROWTH * first.resident_bytes


def left_by(state):
    """What a request may not leave behind. Threads of the pools come with the first requests."""
    return (state.open_files, state.tasks, state.held_bytes, state.running, state.half_written)


def test_the_service_answers_good_requests_afterwards(target):
    answer = target.ask(Sent("GET", "/readyz"))
    assert answer.status == 200
