"""LCM-LoRA over HTTP: asked for, missing, fetched; and what GET /models says of adapters."""

import pytest

from tests.api.test_inpaint import problem
from tests.checkpoint_heads import write_repository
from tests.conftest import png
from tests.local_service import LocalService

LORA = "latent-consistency/lcm-lora-sdv1-5"


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path, has_diffusion=True)


def put_lora(model_dir):
    folder = model_dir / "huggingface/hub/models--latent-consistency--lcm-lora-sdv1-5"
    write_repository(folder, {"pytorch_lora_weights.safetensors": b"numbers"})


async def post(client, photo, hole, **fields):
    return await client.post(
        "/inpaint",
        files={"image": png(photo), "mask": png(hole)},
        data={"model": "lcm-painter", "sd_steps": "2", **fields},
    )


async def test_a_missing_lora_names_the_command_and_no_family_is_called(service, photo, hole):
    async with service.client() as client:
        answer = await post(client, photo, hole, sd_lcm_lora="true")
        assert f"download --model={LORA}" in problem(answer, 503, "weights-missing")
        assert service.painters.seen == []
        assert (await post(client, photo, hole)).status_code == 200


async def test_a_lora_that_is_here_is_asked_for(service, tmp_path, photo, hole):
    put_lora(tmp_path)
    async with service.client() as client:
        answer = await post(client, photo, hole, sd_lcm_lora="true")
    assert answer.status_code == 200, answer.text
    [call] = service.painters.seen
    assert call.params.sd_lcm_lora


async def test_a_missing_lora_is_fetched_where_that_is_allowed(tmp_path, photo, hole, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "deployments.weights.desk.BackgroundFetcher",
        lambda store, observer: type("Fetcher", (), {
            "running": {}, "start": lambda self, spec: asked.append(spec.name)
        })(),
    )  # fmt: skip
    service = LocalService(tmp_path, has_diffusion=True, may_fetch=True)
    async with service.client() as client:
        answer = await post(client, photo, hole, sd_lcm_lora="true")
    assert LORA in problem(answer, 503, "weights-downloading")
    assert asked == [LORA]


async def test_cards_tell_which_adapters_a_model_takes_and_their_state(service, tmp_path):
    put_lora(tmp_path)
    async with service.client() as client:
        card = (await client.get("/models/lcm-painter")).json()
        plain = (await client.get("/models/cv2")).json()
    assert card["diffusion"] == {"base": "sd15", "inpainting": True, "is_single_file": False}
    [lora] = [entry for entry in card["adapters"] if entry["role"] == "lcm-lora"]
    assert (lora["name"], lora["state"]) == (LORA, "downloaded")
    assert lora["licence"]["name"] == "CreativeML Open RAIL++-M"
    assert (plain["diffusion"], plain["adapters"]) == (None, [])
