"""Which replica a request goes to when models are spread over several."""

import pytest

from deployments.affinity import Affinity, Candidate, Demand, Rush, are_busy, ranked

AFFINITY = Affinity(empty_after_s=5.0, occupied_after_s=30.0)


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


def replicas(**described):
    """Candidates from `name=(queue, models)`."""
    return [Candidate(name, queue, set(models)) for name, (queue, models) in described.items()]


def demanded(**counts):
    demand = Demand(Clock())
    for model, count in counts.items():
        for _ in range(count):
            demand.add(model)
    return demand


def order(candidates, waited_s=0.0, busy_s=0.0, **counts):
    return ranked("m", candidates, demanded(**counts), waited_s, busy_s, AFFINITY)


@pytest.mark.parametrize(
    ("case", "candidates", "best"),
    [
        ("the holder, though it is busier", replicas(r1=(0, ["x"]), r2=(4, ["m"])), ["r2"]),
        ("the less busy holder", replicas(r1=(2, ["m"]), r2=(1, ["m"])), ["r2", "r1"]),
        ("who has nothing to lose", replicas(r1=(0, ["x"]), r2=(1, [])), ["r2"]),
        ("the less busy of those", replicas(r1=(1, []), r2=(0, [])), ["r2"]),
        ("of two alike the same for all", replicas(r2=(0, []), r1=(0, [])), ["r1"]),
        ("of two idle holders the first", replicas(r2=(0, ["m"]), r1=(0, ["m"])), ["r2", "r1"]),
        ("the only one", replicas(r1=(9, ["x"])), ["r1"]),
        ("a holder without a rival", replicas(r1=(9, ["m"])), ["r1"]),
        ("nobody", [], []),
    ],
)
def test_who_comes_first(case, candidates, best):
    assert order(candidates, x=5, m=1) == best, case


def test_what_is_asked_for_the_least_makes_room():
    candidates = replicas(r1=(0, ["hot"]), r2=(3, ["rare"]))
    assert order(candidates, hot=10, rare=1) == ["r2"]


def test_a_second_copy_is_worth_less_than_an_only_one():
    candidates = replicas(r1=(0, ["hot"]), r2=(0, ["hot"]), r3=(0, ["warm"]))
    assert order(candidates, hot=6, warm=4)[0] in {"r1", "r2"}
    assert order(candidates, hot=9, warm=4) == ["r3"]


def test_a_replica_that_has_just_come_takes_its_part_of_a_hot_model():
    busy = replicas(r1=(1, ["m"]), r2=(0, []), r3=(0, ["x"]))
    assert order(busy, busy_s=4.9, m=9) == ["r1"]
    assert order(busy, busy_s=5.0, m=9) == ["r2", "r1"]


def test_of_several_empty_replicas_the_first_go_soon_and_the_last_one_late():
    busy = replicas(r1=(1, ["m"]), r2=(0, []), r3=(0, []), r4=(0, []), r5=(0, []))
    assert order(busy, busy_s=1.2, m=9) == ["r1"]
    assert order(busy, busy_s=1.3, m=9) == ["r2", "r1"]
    assert order(busy[:3], busy_s=2.4, m=9) == ["r1"]
    assert order(busy[:3], busy_s=2.5, m=9) == ["r2", "r1"]


def test_a_holder_of_anything_is_not_taken_for_being_busy_alone():
    assert order(replicas(r1=(4, ["m"]), r2=(0, ["x"])), busy_s=999.0, m=9) == ["r1"]


@pytest.mark.parametrize(
    ("candidates", "busy"),
    [
        (replicas(r1=(1, ["m"]), r2=(2, ["m", "x"]), r3=(0, [])), True),
        (replicas(r1=(1, ["m"]), r2=(0, ["m"])), False),
        (replicas(r1=(1, ["x"])), False),
        ([], False),
    ],
)
def test_holders_are_busy_when_none_is_idle(candidates, busy):
    assert are_busy("m", candidates) == busy


def test_a_rush_lasts_while_nobody_is_found_idle():
    clock = Clock()
    rush = Rush(clock)
    found = []
    for seconds, is_busy in [(0, True), (3, True), (3, True), (1, False), (1, True), (2, True)]:
        clock.now_s += seconds
        found.append(rush.note("m", is_busy))
    assert found == [0, 3, 6, 0, 0, 2]
    rush.ease("m")
    clock.now_s += 4
    assert rush.note("m", True) == 4
    clock.now_s += 61  # nobody has looked for so long: it may have been idle
    assert rush.note("m", True) == 0
    assert rush.note("x", True) == 0


def test_a_patient_request_takes_a_replica_over_only_for_more_than_what_goes():
    full = replicas(r1=(4, ["m"]), r2=(0, ["x"]))
    assert order(full, 29.0, m=9, x=4) == ["r1"]
    assert order(full, 30.0, m=9, x=4) == ["r1", "r2"]
    assert order(full, 30.0, m=8, x=4) == ["r1"]
    assert order(full, 999.0, m=1, x=9) == ["r1"]


def test_demand_is_halved_in_a_minute():
    clock = Clock()
    demand = Demand(clock)
    for _ in range(4):
        demand.add("m")
    clock.now_s += 60
    assert demand.of("m") == pytest.approx(2)
    demand.add("m")
    clock.now_s += 120
    assert demand.of("m") == pytest.approx(0.75)
    assert demand.of("never") == 0


def test_three_models_settle_on_three_replicas_and_stay():
    held = {"r1": set(), "r2": set(), "r3": set()}
    demand = Demand(Clock())
    for model in ("a", "b", "c", "a", "c", "b", "a"):
        demand.add(model)
        candidates = [Candidate(name, 0, frozenset(models)) for name, models in held.items()]
        held[ranked(model, candidates, demand, 0.0, 0.0, AFFINITY)[0]].add(model)
    assert sorted(map(sorted, held.values())) == [["a"], ["b"], ["c"]]
