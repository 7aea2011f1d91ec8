"""API keys and CORS over HTTP."""

import pytest
import yaml

from inpaint.settings import AccessArgs
from serve_app.access.keys import digest_of
from tests.conftest import png
from tests.local_service import LocalService

KEY, SLOW_KEY = "isk_studio", "isk_slow"
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def service(tmp_path):
    return LocalService(model_dir=tmp_path)


@pytest.fixture
def guarded(service, tmp_path):
    """The service, which wants a key."""
    path = tmp_path / "keys.yaml"
    entries = [
        {"name": "studio", "sha256": digest_of(KEY)},
        {"name": "slow", "sha256": digest_of(SLOW_KEY), "requests_per_minute": 1},
    ]
    path.write_text(yaml.safe_dump({"keys": entries}))
    service.access = AccessArgs(
        auth="required", api_keys=path, cors_origins=("https://studio.example",)
    )
    return service


async def erase(client, photo, hole, **options):
    files = {"image": png(photo), "mask": png(hole)}
    return await client.post("/inpaint", files=files, data={"model": "cv2"}, **options)


@pytest.mark.parametrize("headers", [BEARER, {"X-API-Key": KEY}])
async def test_a_known_key_is_let_in(guarded, photo, hole, headers):
    async with guarded.client() as client:
        answer = await erase(client, photo, hole, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer isk_other"}])
async def test_anybody_else_is_refused_before_the_body_is_read(guarded, headers):
    read = 0

    async def body():
        nonlocal read
        read += 1
        yield b"x" * 100

    async with guarded.client() as client:
        answer = await client.post("/inpaint", content=body(), headers=headers)
        listed = await client.get("/models", headers=headers)
    assert (answer.status_code, listed.status_code) == (401, 401)
    assert answer.json()["title"] == "unauthorized"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-request-id"]
    assert "isk_other" not in answer.text


async def test_a_refusal_speaks_as_its_path(guarded):
    async with guarded.client() as client:
        answer = await client.get("/api/v1/model")
    assert (answer.status_code, set(answer.json())) == (401, {"error", "detail", "body", "errors"})


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
async def test_probes_and_the_apis_description_need_no_key(guarded, path):
    async with guarded.client() as client:
        assert (await client.get(path)).status_code == 200


async def test_a_keys_limit_counts_work_and_nothing_else(guarded, photo, hole):
    headers = {"X-API-Key": SLOW_KEY}
    async with guarded.client() as client:
        first = await erase(client, photo, hole, headers=headers)
        looked = [await client.get("/models", headers=headers) for _ in range(3)]
        second = await erase(client, photo, hole, headers=headers)
        other = await erase(client, photo, hole, headers=BEARER)
    assert [answer.status_code for answer in (first, *looked, second, other)] == [
        200, 200, 200, 200, 429, 200,
    ]  # fmt: skip
    assert second.json()["title"] == "rate-limited"
    assert 0 < int(second.headers["retry-after"]) <= 60


async def test_pages_of_a_named_origin_may_ask_and_read_the_answers_headers(guarded):
    origin = {"Origin": "https://studio.example"}
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    async with guarded.client() as client:
        preflight = await client.options("/inpaint", headers=origin | ask)
        refused = await client.get("/models", headers=origin)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://studio.example"
    assert refused.status_code == 401
    assert "X-Seed" in refused.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in refused.headers


@pytest.mark.parametrize("headers", [{"Origin": "https://other.example"}])
async def test_pages_of_other_origins_are_told_nothing(guarded, service, headers):
    async with guarded.client() as client:
        answer = await client.get("/healthz", headers=headers)
    assert "access-control-allow-origin" not in answer.headers


async def test_by_default_no_key_is_asked_for_and_no_other_origin_is_let_in(service):
    async with service.client() as client:
        answer = await client.get("/models", headers={"Origin": "https://studio.example"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
