"""IOPaint's sockets and OpenAI's client as a new user meets them: under the shipped config."""

import asyncio

import numpy as np
import openai

from tests.api.test_sockets import page_of
from tests.openai_requests import edit_of, picture


async def test_a_page_hears_that_its_run_has_ended(server, photo, hole):
    async with page_of(server.url) as page:
        for _ in range(20):  # the sockets may come up a little later than the service
            assert await page.inpaint(photo, hole, model="cv2") == 200, page.said[:300]
            await asyncio.sleep(0.5)
            if page.heard:
                break
        assert set(page.heard) == {("finish",)}


def test_openais_client_edits_without_a_key(server, photo, hole):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=60) as client:
        answer = client.images.edit(**edit_of(photo, hole))
    result = picture(answer.data[0].b64_json)
    np.testing.assert_array_equal(result[hole == 0], photo[hole == 0])
    assert (result[hole > 0] != photo[hole > 0]).any()
