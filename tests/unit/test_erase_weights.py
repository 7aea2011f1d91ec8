"""An erase replica whose own node lacks weights: it fetches them there, and evicts nobody."""

import asyncio
import time

import pytest

from inpaint.errors import WeightsDownloadingError, WeightsMissingError
from tests.fakes import fake_spec
from tests.unit.test_erase_replica import PARAMS, Reports, replica_of, tile
from tests.weights_server import weights_server

CONTENT = b"numbers" * 1000
LIMIT_S = 10


@pytest.fixture
def weights():
    with weights_server() as server:
        yield server


def heavy_spec(server):
    url = server.put("/heavy.bin", CONTENT)
    return fake_spec("heavy", weights=[{"env": "HEAVY", "url": url}], memory_mb=4096)


async def test_replica_fetches_what_its_node_lacks_and_reports_it(tmp_path, weights):
    weights.gate.clear()
    reports = Reports()
    replica = replica_of(
        heavy_spec(weights), report=reports.take, model_dir=tmp_path, may_fetch_weights=True
    )
    with pytest.raises(WeightsDownloadingError):
        await replica.paint("heavy", *tile(4, 4), PARAMS)
    await asyncio.sleep(0)
    assert [download.model for download in reports[-1].downloads] == ["heavy"]
    weights.gate.set()
    end = time.monotonic() + LIMIT_S
    while (await replica.check_health()) or reports[-1].downloads:
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
    assert (await replica.paint("heavy", *tile(4, 4), PARAMS)).batch == 1


async def test_replica_that_may_not_fetch_says_what_to_do(tmp_path, weights):
    replica = replica_of(heavy_spec(weights), model_dir=tmp_path)
    with pytest.raises(WeightsMissingError, match="download --model=heavy"):
        await replica.paint("heavy", *tile(4, 4), PARAMS)
    assert weights.asked == []


async def test_model_that_lacks_its_weights_evicts_no_other(tmp_path, weights):
    reports = Reports()
    replica = replica_of(
        fake_spec("light"), heavy_spec(weights), report=reports.take, model_dir=tmp_path
    )
    await replica.paint("light", *tile(4, 4), PARAMS)
    with pytest.raises(WeightsMissingError):
        await replica.paint("heavy", *tile(4, 4), PARAMS)
    await replica.check_health()
    assert reports[-1].loaded == ("light",)
