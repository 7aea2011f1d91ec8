"""A service over two worker nodes under a steady load of real pictures, and what faults do to it.

Ray's head holds no replica, as on Kubernetes. Each worker node has one replica of everything and a
proxy of its own. Clients retry nothing.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.load import Load, while_running
from tests.clusters.conftest import family, service
from tests.conftest import png
from tests.faults import parts
from tests.faults.records import Table
from tests.k8s.edge import NGINX, edge
from tests.serve.conftest import free_ports, wait_for

MODELS = Path(__file__).parent / "models"
CLIENTS = {"erase": 3, "cv2": 1, "text": 2}
"""How many ask at the same time, and for what."""

PAUSE_S = 0.05
"""Between an answer and the next request: who is refused at once shall not ask without an end."""

HANDS = ThreadPoolExecutor(1)
"""Outlives every test: a process that Ray starts ends with the thread that started it."""

ANSWER_LIMIT_S = 130
"""How long a client waits: longer than the service, which gives up after 120 s."""


def families(**options):
    """Two replicas of everything, one on each worker."""
    made = [
        family("Erase", ["cv2", "steady"], 0),
        family("OCR", ["steady-reader"], 0, kind="ocr"),
    ]
    for _, entry in made:
        del entry["autoscaling_config"]
        entry.update(on_workers(0.1), graceful_shutdown_timeout_s=30, **options)
    return made


def on_workers(cpus):
    """Two replicas, on different nodes, neither of them the head."""
    return {
        "num_replicas": 2,
        "max_replicas_per_node": 1,
        "ray_actor_options": {"num_cpus": cpus, "resources": {"worker": 0.01}},
    }


def worker(port):
    """What a worker node has."""
    return {"port": port, "num_cpus": 2, "resources": {"worker": 1}}


def entry_of(document, deployment):
    """What a Serve config says of one deployment."""
    [entry] = [
        one for one in document["applications"][0]["deployments"] if one["name"] == deployment
    ]
    return entry


@pytest.fixture(scope="session")
def table():
    """Where results go."""
    return Table()


class Crowd:
    """Clients of a service, sending pictures of all kinds all the time."""

    def __init__(self, running, scratch, ports):
        self.running = running
        self.scratch = scratch
        self.ports = ports
        self.requests = pictures()

    @property
    def workers(self):
        """The worker nodes, as Ray's cluster has them."""
        return self.running.workers

    async def during(self, seconds, *events, url=None, clients=CLIENTS):
        """The outcomes of a load from all clients, during which `events` happen; see while_running.

        Each event is a moment and a plain function, which runs on a thread.
        """
        async with self._load(url, clients) as load:
            asked = everybody(load, clients, seconds)
            return await while_running(asked, *(threaded(*event) for event in events))

    async def until(self, act, url=None, clients=CLIENTS):
        """The outcomes of a load that begins before `act`, a plain function, and outlives it."""
        async with self._load(url, clients) as load:
            asking = True

            async def one(kind):
                while asking:
                    await load.send(kind)
                    await asyncio.sleep(PAUSE_S)

            crowd = [
                asyncio.create_task(one(kind))
                for kind, count in clients.items()
                for _ in range(count)
            ]
            await asyncio.sleep(1.5)
            try:
                await done(act)
                await asyncio.sleep(1.5)
            finally:
                asking = False
                await asyncio.gather(*crowd)
            return load.outcomes

    @asynccontextmanager
    async def _load(self, url, clients):
        limits = httpx.Limits(max_connections=64)
        address = url or self.running.url
        async with httpx.AsyncClient(
            base_url=address, timeout=ANSWER_LIMIT_S, limits=limits
        ) as client:
            makes = {kind: lambda kind=kind: self.requests[kind] for kind in clients}
            yield Load(client, makes)

    def recover(self, limit_s=90):
        """Come back when everything runs again."""
        wait_for(lambda: parts.is_healthy() and self._answers(), limit_s)

    def _answers(self):
        with httpx.Client(base_url=self.running.url, timeout=ANSWER_LIMIT_S) as client:
            try:
                return all(client.request(**one).is_success for one in self.requests.values())
            except httpx.HTTPError:
                return False


async def everybody(load, clients, seconds):
    """So many clients of each kind, each asking again once it is answered."""
    asked = (load.in_turn(kind, count, seconds, PAUSE_S) for kind, count in clients.items())
    return [one for some in await asyncio.gather(*asked) for one in some]


def threaded(moment, act):
    """An event whose function may block."""
    return moment, lambda: done(act)


def done(act):
    """What `act` gives, awaitable: it runs on a thread."""
    return asyncio.get_running_loop().run_in_executor(HANDS, act)


def pictures():
    """A request of each kind. Tiles are above 100 kB: they travel through shared memory."""
    image = np.random.default_rng(5).integers(60, 256, (300, 400, 3), np.uint8)
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[100:200, 100:300] = 255
    sign = image.copy()
    sign[80:110, 50:200] = 0
    pair = {"image": png(image), "mask": png(mask)}
    return {
        "erase": post("/inpaint", pair, model="steady"),
        "cv2": post("/inpaint", pair, model="cv2"),
        "text": post("/remove-text", {"image": png(sign)}, model="cv2"),
    }


def post(path, files, **fields):
    """What httpx takes to send a form."""
    return {"method": "POST", "url": path, "files": files, "data": fields}


@contextmanager
def crowd_at(scratch, environment=None, served=None, **options):
    """A service with two workers, and its clients."""
    port, *ports = free_ports(3)
    variables = {
        "STEADY_SCRATCH": str(scratch),
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.proxy:layers",
        **(environment or {}),
    }
    started = service(
        served or families(),
        environment=variables,
        port=port,
        workers=[worker(port) for port in ports],
        ingress={**on_workers(0.1), "graceful_shutdown_timeout_s": 30},
        proxy_location="EveryNode",
        model_folders=[str(MODELS)],
        **options,
    )
    with started as running:
        crowd = Crowd(running, scratch, ports)
        crowd.recover()
        yield crowd


@contextmanager
def behind_edge(crowd, folder):
    """The address of the shipped load balancer before the proxies of the workers."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    with edge(folder, *crowd.ports) as url:
        yield url
