"""Replicas that are there and do not answer."""

import asyncio

import pytest
import yaml

from inpaint.resources import default_serve_config
from tests.faults import parts
from tests.faults.conftest import crowd_at, entry_of, families
from tests.faults.records import unanswered
from tests.serve.conftest import wait_for

pytestmark = pytest.mark.chaos

QUICK = {"health_check_period_s": 1, "health_check_timeout_s": 1}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    served = families(**QUICK)
    served[0][1]["user_config"] = {"hang_after_s": 3}
    with crowd_at(tmp_path_factory.mktemp("scratch"), served=served) as crowd:
        yield crowd


@pytest.fixture(autouse=True)
def whole(crowd):
    crowd.recover()


@pytest.mark.parametrize("deployment", ["Erase", "OCR"])
async def test_a_frozen_replica_costs_no_request(crowd, table, deployment):
    victim = next(iter(parts.replicas(deployment).values()))
    outcomes = await crowd.during(12, (1.5, lambda: parts.freeze(victim["pid"])))
    summary = table.add(
        f"a replica of {deployment} stopped (SIGSTOP); health checks every 1 s, 1 s each", outcomes
    )
    assert summary.lost == 0, unanswered(outcomes)
    assert not parts.is_there(victim["pid"])
    assert summary.longest_s < 25


async def test_a_forward_that_never_ends_costs_no_request(crowd, table):
    before = parts.replicas("Erase").keys()
    outcomes = await crowd.during(15, (1.5, lambda: parts.note(crowd.scratch, "hang")))
    summary = table.add(
        "a forward that never ends; `hang_after_s` 3, health checks every 1 s", outcomes
    )
    assert summary.lost == 0, unanswered(outcomes)
    assert not (crowd.scratch / "hang").exists()
    crowd.recover()
    assert len(before - parts.replicas("Erase").keys()) == 1


async def test_with_the_shipped_health_checks_a_frozen_replica_costs_no_request(crowd, table):
    shipped = entry_of(yaml.safe_load(default_serve_config().read_text()), "Erase")
    checks = {name: shipped[name] for name in QUICK}
    entry_of(crowd.running.document, "Erase").update(checks)
    crowd.running.deploy()
    await asyncio.sleep(3)  # until the controller has begun
    crowd.recover()
    victim = next(iter(parts.replicas("Erase").values()))

    def stop():
        parts.freeze(victim["pid"])
        wait_for(lambda: not parts.is_there(victim["pid"]))

    outcomes = await crowd.until(stop)
    every, limit = checks.values()
    summary = table.add(
        f"a replica of Erase stopped (SIGSTOP); health checks as shipped, every {every} s, "
        f"{limit} s each",
        outcomes,
    )
    assert summary.lost == 0, unanswered(outcomes)
    default_timeout_s = 120
    assert summary.longest_s < default_timeout_s / 2
