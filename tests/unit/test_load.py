"""The load generator against answers that are made up here."""

import asyncio
import time

import httpx
import pytest

from benchmarks.load import BROKEN, Load, Outcome, summarise, while_running


class Server:
    """Answers after a moment; counts how many requests it has at once."""

    def __init__(self, takes_s=0.0, status=200, headers=None, text="ok"):
        self.takes_s, self.status, self.headers, self.text = takes_s, status, headers, text
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0

    async def __call__(self, request):
        self.asked.append(request.url.path)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.takes_s)
        self.at_once -= 1
        return httpx.Response(self.status, headers=self.headers, text=self.text)


def load_on(answer):
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://server")
    kinds = {"a": lambda: {"method": "GET", "url": "/a"}, "b": lambda: {"method": "POST",
                                                                        "url": "/b"}}  # fmt: skip
    return Load(client, kinds)


async def test_an_outcome_tells_what_became_of_a_request():
    load = load_on(Server(0.05, 503, {"retry-after": "7"}, "x" * 500))
    outcome = await load.send("b")
    assert (outcome.kind, outcome.status, outcome.retry_after_s) == ("b", 503, 7.0)
    assert outcome.detail == "x" * 200
    assert not outcome.is_good
    assert 0.05 <= outcome.took_s < 5
    assert load.outcomes == [outcome]


async def test_a_success_has_no_detail():
    outcome = await load_on(Server(text="a picture")).send("a")
    assert (outcome.is_good, outcome.detail, outcome.retry_after_s) == (True, "", None)


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("refused"), httpx.ReadTimeout("late"), httpx.RemoteProtocolError]
)
async def test_a_broken_connection_is_an_outcome_and_is_not_tried_again(error):
    calls = []

    async def answer(request):
        calls.append(request)
        raise error if isinstance(error, Exception) else error("gone")

    outcome = await load_on(answer).send("a")
    assert (outcome.status, outcome.is_good) == (BROKEN, False)
    assert type(error if isinstance(error, Exception) else error("")).__name__ in outcome.detail
    assert len(calls) == 1


async def test_an_open_loop_sends_at_its_rate_however_long_answers_take():
    server = Server(takes_s=0.3)
    outcomes = await load_on(server).at_a_rate("a", 200, 0.4, seed=3)
    assert 50 <= len(outcomes) <= 115  # 80 expected, with a standard deviation of 9
    assert server.most_at_once > 30
    assert max(outcome.sent_s for outcome in outcomes) < 5
    assert all(outcome.is_good for outcome in outcomes)


async def test_the_same_seed_sends_at_the_same_moments():
    counts = [len(await load_on(Server()).at_a_rate("a", 150, 0.2, seed=5)) for _ in range(2)]
    assert counts[0] == counts[1] > 0


async def test_each_kind_is_sent_at_its_moment():
    server = Server()
    outcomes = await load_on(server).at_moments([(0.12, "b"), (0.0, "a"), (0.06, "a")])
    assert [outcome.kind for outcome in outcomes] == ["b", "a", "a"]
    assert server.asked == ["/a", "/a", "/b"]
    first = outcomes[1].sent_s
    assert outcomes[0].sent_s - first >= 0.11
    assert outcomes[2].sent_s - first >= 0.05


async def test_a_closed_loop_never_has_more_under_way_than_clients():
    server = Server(takes_s=0.02)
    outcomes = await load_on(server).in_turn("a", 3, 0.2)
    assert server.most_at_once == 3
    assert 3 <= len(outcomes) <= 33
    assert all(outcome.sent_s < 0.25 for outcome in outcomes)


async def test_clients_rest_between_an_answer_and_the_next_request():
    outcomes = await load_on(Server()).in_turn("a", 1, 0.2, pause_s=0.06)
    assert len(outcomes) <= 4


async def test_events_happen_at_their_seconds_while_requests_run():
    load, happened = load_on(Server(takes_s=0.01)), []
    began = time.perf_counter()

    async def event():
        happened.append(time.perf_counter() - began)

    outcomes = await while_running(load.in_turn("a", 1, 0.2), (0.1, event), (0.05, event))
    assert len(outcomes) > 2
    assert len(happened) == 2
    assert happened[0] >= 0.05
    assert happened[1] >= 0.1


def test_a_summary_counts_statuses_and_takes_times_of_successes_alone():
    times = [index / 100 for index in range(1, 101)]
    good = [Outcome("a", 0, took, 200) for took in times]
    summary = summarise([*good, Outcome("a", 0, 50.0, 503), Outcome("a", 0, 60.0, BROKEN)])
    assert (summary.requests, summary.good, summary.lost) == (102, 100, 2)
    assert summary.statuses == {BROKEN: 1, 200: 100, 503: 1}
    assert summary.p50_s == pytest.approx(0.505)
    assert summary.p95_s == pytest.approx(0.9505)
    assert summary.p99_s == pytest.approx(0.9901)
    assert summary.longest_s == 1.0


def test_a_summary_of_no_success_has_no_times():
    summary = summarise([Outcome("a", 0, 50.0, 503)])
    assert (summary.good, summary.p99_s, summary.longest_s) == (0, 0.0, 0.0)
