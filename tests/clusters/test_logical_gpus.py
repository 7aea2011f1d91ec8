"""All families alive at once on one logical GPU: each has a share of it and computes on the CPU."""

import asyncio

import httpx
import pytest
from ray import serve
from ray.serve.context import _get_global_client

from deployments.weights.layout import HUB
from tests.clusters.conftest import family, service
from tests.conftest import png
from tests.serve.conftest import wait_for
from tests.standins.diffusion import write_folder, write_hub_folder

SD15 = "runwayml/stable-diffusion-inpainting"
SDXL = "diffusers/stable-diffusion-xl-1.0-inpainting-0.1"
FAMILIES = [
    family("Erase", ["cv2", "slow"], 0.2, least=1, most=2),
    family("SD15", [SD15], 0.2, kind="diffusion"),
    family("SDXL", [SDXL], 0.3, kind="diffusion"),
    family("OCR", ["dying-reader"], 0.1, kind="ocr"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The service, with small random checkpoints where the published ones would be."""
    scratch, model_dir = tmp_path_factory.mktemp("scratch"), tmp_path_factory.mktemp("models")
    (scratch / "reader-died").touch()
    for name, base in ((SD15, "sd15"), (SDXL, "sdxl")):
        write_hub_folder(
            model_dir / HUB, name, lambda folder, base=base: write_folder(folder, base)
        )
    variables = {"AWKWARD_MODELS_SCRATCH": str(scratch), "AWKWARD_MODELS_SLOW_S": "1"}
    with service(FAMILIES, gpus=1, environment=variables, model_dir=str(model_dir)) as running:
        yield running


async def paint(client, photo, hole, model, **fields):
    files = {"image": png(photo), "mask": png(hole)}
    return await client.post("/inpaint", files=files, data={"model": model, **fields})


def replicas():
    """Ids of the running replicas of each family."""
    deployments = _get_global_client().get_serve_details()["applications"]["inpaint"]["deployments"]
    return {
        name: {one["replica_id"] for one in deployments[name]["replicas"]}
        for name in ("Erase", "SD15", "SDXL", "OCR")
    }


async def test_families_share_a_gpu_and_scale_apart(running, photo, hole):
    assert replicas()["SD15"] == set()  # they rest until they are asked for
    steps = {"sd_steps": "2", "sd_seed": "1", "prompt": "a bench"}
    async with httpx.AsyncClient(base_url=running.url, timeout=200) as client:
        answers = await asyncio.gather(
            paint(client, photo, hole, "cv2"),
            paint(client, photo, hole, SD15, **steps),
            paint(client, photo, hole, SDXL, **steps),
            client.post("/ocr", files={"image": png(photo)}),
        )
        assert [answer.status_code for answer in answers] == [200] * 4, [
            answer.text[:300] for answer in answers if answer.status_code != 200
        ]
        assert [answer.headers["x-model"] for answer in answers[:3]] == ["cv2", SD15, SDXL]
        alive = replicas()
        assert all(len(ids) == 1 for ids in alive.values()), alive

        crowd = [paint(client, photo, hole, "slow") for _ in range(12)]
        grown = asyncio.create_task(
            asyncio.to_thread(wait_for, lambda: len(replicas()["Erase"]) == 2)
        )
        assert {answer.status_code for answer in await asyncio.gather(*crowd)} == {200}
        await grown
    now = replicas()
    assert now["Erase"] > alive["Erase"]
    assert {name: now[name] for name in ("SD15", "SDXL", "OCR")} == {
        name: alive[name] for name in ("SD15", "SDXL", "OCR")
    }
    assert serve.status().applications["inpaint"].status == "RUNNING"
