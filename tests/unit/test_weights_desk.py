"""What a server does about a model whose weights are missing."""

import asyncio
import threading
import time

import pytest

from deployments.weights import Progress, WeightsDesk, WeightsStore
from deployments.weights import desk as desk_module
from deployments.weights.fetcher import BackgroundFetcher
from deployments.weights.layout import lock_of
from deployments.weights.locks import held
from inpaint.errors import DownloadError, WeightsDownloadingError, WeightsMissingError
from inpaint.reports import Download
from inpaint.specs import ModelSpec
from tests.observing import Downloads

LIMIT_S = 10


def spec_of(name="toy", **more):
    return ModelSpec.model_validate(
        {
            "name": name,
            "family": "Erase",
            "kind": "erase",
            "runner": "some.module:Toy",
            "licence": {"name": "MIT"},
            "memory_mb": 1,
            "weights": [{"env": "TOY", "url": f"https://example.org/{name}.pt"}],
        }
        | more
    )


class Fetching:
    """In place of the network: tells progress, and ends when it may, or fails."""

    def __init__(self, *, error=None):
        self.error = error
        self.began = []
        self.is_under_way = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, spec, store, on_progress):
        self.began.append(spec.name)
        on_progress(Progress(f"{spec.name}.pt", 2_000_000, 8_000_000))
        self.is_under_way.set()
        assert self.may_end.wait(LIMIT_S)
        if self.error:
            raise self.error
        store.checkpoints.mkdir(parents=True, exist_ok=True)
        (store.checkpoints / f"{spec.name}.pt").write_bytes(b"numbers")


class Told:
    """Counts how often a desk has told about its downloads, and what."""

    def __init__(self):
        self.seen = []
        self.desk = None

    async def __call__(self):
        self.seen.append(self.desk.downloads)


@pytest.fixture(autouse=True)
def _haste(monkeypatch):
    monkeypatch.delenv("TOY_MODEL_URL", raising=False)
    monkeypatch.setattr(desk_module, "TELL_EVERY_S", 0.01)


@pytest.fixture
def store(tmp_path):
    return WeightsStore(tmp_path)


def desk_of(store, fetching=None, pause_after_failure_s=60.0):
    told = Told()
    fetcher = BackgroundFetcher(store, fetching, pause_after_failure_s) if fetching else None
    told.desk = WeightsDesk(store, fetcher, told)
    return told.desk, told


async def until(what):
    end = time.monotonic() + LIMIT_S
    while not what():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


async def test_model_with_its_weights_is_not_lacking(store):
    store.checkpoints.mkdir(parents=True)
    (store.checkpoints / "toy.pt").write_bytes(b"numbers")
    desk, told = desk_of(store, Fetching())
    assert not await desk.lacks(spec_of())
    await desk.require(spec_of())
    assert told.seen == []


async def test_model_whose_packages_are_missing_is_not_fetched(store, monkeypatch):
    monkeypatch.setattr("deployments.weights.store.is_extra_installed", lambda extra: False)
    fetching = Fetching()
    desk, _ = desk_of(store, fetching)
    await desk.require(spec_of(extra="erase"))
    assert fetching.began == []


async def test_missing_model_is_fetched_in_the_background(store):
    fetching = Fetching()
    desk, _ = desk_of(store, fetching)
    with pytest.raises(WeightsDownloadingError, match="'toy' are being fetched") as caught:
        await desk.require(spec_of())
    assert caught.value.retry_after_s == 5
    await until(fetching.is_under_way.is_set)
    with pytest.raises(WeightsDownloadingError, match=r"\(2\.0 of 8\.0 MB\)"):
        await desk.require(spec_of())
    assert desk.downloads == (Download("toy", 2_000_000, 8_000_000),)
    fetching.may_end.set()
    await until(lambda: not desk.downloads)
    await desk.require(spec_of())
    assert fetching.began == ["toy"]


async def test_progress_is_told_while_it_lasts_and_at_its_end(store):
    fetching = Fetching()
    desk, told = desk_of(store, fetching)
    await desk.refusal(spec_of())
    await until(lambda: (Download("toy", 2_000_000, 8_000_000),) in told.seen)
    fetching.may_end.set()
    await until(lambda: told.seen[-1] == ())
    count = len(told.seen)
    await asyncio.sleep(0.05)
    assert len(told.seen) == count


async def test_models_are_fetched_one_after_the_other(store):
    fetching = Fetching()
    desk, _ = desk_of(store, fetching)
    for name in ("one", "two", "one"):
        assert isinstance(await desk.refusal(spec_of(name)), WeightsDownloadingError)
    await until(fetching.is_under_way.is_set)
    assert fetching.began == ["one"]
    assert {download.model for download in desk.downloads} == {"one", "two"}
    fetching.may_end.set()
    await until(lambda: not desk.downloads)
    assert fetching.began == ["one", "two"]


async def test_many_askers_at_once_start_one_fetch(store):
    fetching = Fetching()
    desk, _ = desk_of(store, fetching)
    answers = await asyncio.gather(*(desk.refusal(spec_of()) for _ in range(20)))
    assert {type(answer) for answer in answers} == {WeightsDownloadingError}
    fetching.may_end.set()
    await until(lambda: not desk.downloads)
    assert fetching.began == ["toy"]


@pytest.mark.parametrize("error", [DownloadError("The server said no."), ZeroDivisionError("x")])
async def test_failed_fetch_is_told_with_the_command_and_not_tried_again_at_once(store, error):
    fetching = Fetching(error=error)
    fetching.may_end.set()
    desk, _ = desk_of(store, fetching)
    await desk.refusal(spec_of())
    await until(lambda: not desk.downloads)
    for _ in range(3):
        with pytest.raises(
            WeightsMissingError, match=r"`python main\.py download --model=toy`"
        ) as caught:
            await desk.require(spec_of())
        assert ("The server said no." in caught.value.detail) == isinstance(error, DownloadError)
        assert 50 < caught.value.retry_after_s <= 60
    assert fetching.began == ["toy"]


async def test_failed_fetch_is_tried_again_after_a_while(store):
    fetching = Fetching(error=DownloadError("The server said no."))
    fetching.may_end.set()
    desk, _ = desk_of(store, fetching, pause_after_failure_s=0.05)
    await desk.refusal(spec_of())
    await until(lambda: not desk.downloads)
    await asyncio.sleep(0.06)
    fetching.error = None
    assert isinstance(await desk.refusal(spec_of()), WeightsDownloadingError)
    await until(lambda: not desk.downloads)
    await desk.require(spec_of())


async def test_failure_of_one_model_does_not_stop_the_next(store):
    fetching = Fetching(error=DownloadError("no"))
    fetching.may_end.set()
    desk, _ = desk_of(store, fetching)
    await desk.refusal(spec_of("one"))
    await until(lambda: not desk.downloads)
    fetching.error = None
    await desk.refusal(spec_of("two"))
    await until(lambda: not desk.downloads)
    await desk.require(spec_of("two"))


async def test_weights_that_somebody_puts_there_end_a_failure(store):
    fetching = Fetching(error=DownloadError("no"))
    fetching.may_end.set()
    desk, _ = desk_of(store, fetching)
    await desk.refusal(spec_of())
    await until(lambda: not desk.downloads)
    store.checkpoints.mkdir(parents=True)
    (store.checkpoints / "toy.pt").write_bytes(b"numbers")
    await desk.require(spec_of())


async def test_desk_that_may_not_fetch_names_the_command(store):
    desk, told = desk_of(store)
    with pytest.raises(
        WeightsMissingError, match=r"`python main\.py download --model=toy`"
    ) as caught:
        await desk.require(spec_of())
    assert caught.value.retry_after_s is None
    assert desk.downloads == ()
    assert told.seen == []


async def test_desk_that_may_not_fetch_says_when_somebody_else_does(store):
    desk, _ = desk_of(store)
    with (
        held(lock_of(store.checkpoints / "toy.pt"), lambda: None),
        pytest.raises(WeightsDownloadingError),
    ):
        await desk.require(spec_of())


def fetched(store, *reports, error=None):
    """What an observer hears of a fetch that tells these reports and ends, maybe with an error."""
    heard = Downloads()

    def fetch(spec, store, on_progress):
        for report in reports:
            on_progress(report)
        if error:
            raise error

    fetcher = BackgroundFetcher(store, fetch, observer=heard)
    fetcher.start(spec_of())
    end = time.monotonic() + LIMIT_S
    while fetcher.running and time.monotonic() < end:
        time.sleep(0.005)
    return heard


def test_bytes_are_counted_as_they_arrive_without_those_that_were_here(store):
    heard = fetched(
        store,
        Progress("one.pt", 500, 1000),  # goes on with a part
        Progress("one.pt", 700, 1000),
        Progress("one.pt", 1000, 1000),
        Progress("two.pt", 0, None),
        Progress("two.pt", 40, None),
    )
    assert heard.bytes == {"toy": 540}
    assert heard.outcomes == [("toy", "ok")]


def test_bytes_of_a_download_that_began_anew_count_again(store):
    heard = fetched(store, *(Progress("toy.pt", done, 90) for done in (0, 60, 0, 90)))
    assert heard.bytes == {"toy": 150}


def test_what_another_process_fetches_is_not_counted_here(store):
    waiting = (Progress("toy.pt", done, None, is_elsewhere=True) for done in (10, 5000))
    heard = fetched(store, *waiting)
    assert (heard.bytes, heard.outcomes) == ({}, [])


def test_a_download_taken_over_from_another_process_counts_from_there(store):
    heard = fetched(
        store,
        Progress("toy.pt", 10, None, is_elsewhere=True),
        Progress("toy.pt", 5000, 6000),
        Progress("toy.pt", 6000, 6000),
    )
    assert heard.bytes == {"toy": 1000}
    assert heard.outcomes == [("toy", "ok")]


@pytest.mark.parametrize(
    ("error", "code"), [(DownloadError("no"), "download-failed"), (ValueError("odd"), "internal")]
)
def test_a_failed_fetch_is_told_with_its_code(store, error, code):
    heard = fetched(store, Progress("toy.pt", 0, 9), Progress("toy.pt", 4, 9), error=error)
    assert heard.bytes == {"toy": 4}
    assert heard.outcomes == [("toy", code)]
