"""Requests of several callers find the replica that holds their model."""

import asyncio

import pytest
import ray
from ray import serve

from deployments.affinity import MODELS
from deployments.model_cache import ModelCache
from deployments.request_router import BY_MODEL


class Holder:
    """Room for one model, whose load is a wait; says who it is and how often it has loaded."""

    def __init__(self):
        self.loads = 0
        self.cache = ModelCache(self.load, lambda name: 1, budget=1)

    async def load(self, name):
        self.loads += 1
        await asyncio.sleep(0.3)
        return name

    async def paint(self, model):
        async with self.cache.lease(model):
            return serve.get_replica_context().replica_id.unique_id, self.loads

    async def whoever(self):
        return serve.get_replica_context().replica_id.unique_id

    def record_routing_stats(self):
        return {MODELS: list(self.cache.held)}


class Caller:
    """A process with a router of its own, as an ingress replica is."""

    def __init__(self, holders):
        self.holders = holders

    async def __call__(self, models):
        return [await self.holders.paint.remote(model) for model in models]


@pytest.fixture(scope="module")
def callers():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            address="local",
            num_cpus=4,
            num_gpus=1,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100 * 2**20,
        )
        serve.start(proxy_location="Disabled")
        options = {"ray_actor_options": {"num_cpus": 0.1, "num_gpus": 0.5}}
        holders = serve.deployment(
            Holder, name="Holder", num_replicas=2, request_router_config=BY_MODEL, **options
        ).bind()
        caller = serve.deployment(Caller, ray_actor_options={"num_cpus": 0.1})
        yield [
            serve.run(
                caller.options(name=name).bind(holders if name == "first" else Holders()),
                name=name,
                route_prefix=None,
            )
            for name in ("first", "second")
        ]
        serve.shutdown()
        ray.shutdown()


class Holders:
    """The first application's replicas, found by name in another process."""

    @property
    def paint(self):
        return serve.get_deployment_handle("Holder", "first").paint


async def test_a_model_stays_where_it_is_whoever_asks(callers):
    first, second = callers
    models = ["a", "b"] * 10
    answers = await first.remote(models)
    places = {model: {name for name, _ in answers[at::2]} for at, model in enumerate("ab")}
    assert all(len(names) == 1 for names in places.values()), places
    assert places["a"] != places["b"]
    assert max(loads for _, loads in answers) == 1

    await asyncio.sleep(2.5)  # for the replicas' own word; the second caller has sent nothing yet
    answers = await second.remote(models)
    assert {name for name, _ in answers[::2]} == places["a"]
    assert {name for name, _ in answers[1::2]} == places["b"]
    assert max(loads for _, loads in answers) == 1


async def test_calls_without_a_model_are_answered(callers):
    holders = serve.get_deployment_handle("Holder", "first")
    assert await holders.whoever.remote()
