"""OpenAI's Python client against a real server with two ingress replicas."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openai
import pytest

from tests.openai_requests import edit_of, named, picture, see_through
from tests.serve.conftest import wait_for
from tests.serve.test_diffusion import steps_of

NO_BLUR = {"sd_steps": 3, "seed": 7, "sd_mask_blur": 0}


@pytest.fixture
def client(url):
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=60) as client:
        yield client


def test_an_edit_keeps_what_is_not_marked(client, photo, hole):
    answer = client.images.edit(**edit_of(photo, hole))
    result = picture(answer.data[0].b64_json)
    np.testing.assert_array_equal(result[hole == 0], photo[hole == 0])
    assert (result[hole > 0] != photo[hole > 0]).any()
    own = client.images.edit(image=named(see_through(photo, hole)), prompt="", model="cv2")
    np.testing.assert_array_equal(picture(own.data[0].b64_json)[..., :3], result)


def test_two_pictures_differ_by_their_seeds(client, photo, hole):
    answer = client.images.edit(**edit_of(photo, hole, model="noise", n=2))
    first, second = (picture(one.b64_json) for one in answer.data)
    assert (first != second).any()
    np.testing.assert_array_equal(first[hole == 0], second[hole == 0])


def test_a_stream_brings_a_partial_picture_before_the_run_has_ended(client, scratch, photo, hole):
    edit = edit_of(photo, hole, model="steps", extra_body=NO_BLUR | {"sd_steps": 6})
    with client.images.edit(
        **edit | {"prompt": "partial"}, stream=True, partial_images=1
    ) as stream:
        partial = next(stream)
        taken = steps_of(scratch, "partial")[-1][0]
        (completed,) = stream
    assert (partial.type, partial.partial_image_index) == ("image_edit.partial_image", 0)
    assert taken < 6
    assert completed.type == "image_edit.completed"
    result = picture(completed.b64_json)
    np.testing.assert_array_equal(result[hole == 0], photo[hole == 0])


def test_a_client_that_closes_the_stream_ends_the_run(client, scratch, photo, hole):
    body = NO_BLUR | {"sd_steps": 50}
    edit = edit_of(photo, hole, model="steps", extra_body=body, stream=True, partial_images=3)
    with client.images.edit(**edit | {"prompt": "closed stream"}) as stream:
        wait_for(lambda: steps_of(scratch, "closed stream"), 20)
        stream.close()
    assert client.images.edit(
        **edit_of(photo, hole, model="steps", extra_body=NO_BLUR), timeout=20
    ).data
    assert max(number for number, _ in steps_of(scratch, "closed stream")) < 20


def test_models_are_listed_and_found(client):
    names = [model.id for model in client.models.list()]
    assert {"cv2", "lama", "steps"} <= set(names)
    assert client.models.retrieve("runwayml/stable-diffusion-inpainting").id in names
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-image-1")


def test_the_client_waits_and_comes_again_while_the_family_is_full(url, photo, hole):
    """Of eight at once two run and two ingress replicas queue one each: the others get a 503."""
    full = threading.Event()

    def edit(number):
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=60) as client:
            made = client.with_options(max_retries=10)
            sent = edit_of(photo, hole, model="steps", extra_body=NO_BLUR)
            answer = made.images.with_raw_response.edit(**sent)
            if answer.retries_taken:
                full.set()
            return len(answer.parse().data)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(edit, range(8))) == [1] * 8
    assert full.is_set()
