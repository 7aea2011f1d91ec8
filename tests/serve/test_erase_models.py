"""Every shipped erase model on a real Serve application, from files in the published formats."""

import numpy as np
import pytest
from skimage import data

from tests import user_models
from tests.conftest import pixels, png
from tests.standins.catalog import erase_models

SPECS = erase_models()
NAMES = [spec.name for spec in SPECS]
SEEDED = [spec.name for spec in SPECS if "seed" in spec.reads]


@pytest.fixture(scope="module")
def photo():
    """(300, 420, 3) uint8 RGB."""
    return data.coffee()[:300, :420]


@pytest.fixture(scope="module")
def hole(photo):
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[120:190, 200:280] = 255
    return mask


def send(client, image, mask, **fields):
    files = {"image": png(image), "mask": png(mask)}
    return client.post("/inpaint", files=files, data=fields)


@pytest.mark.parametrize("name", NAMES)
def test_model_repaints_the_hole_and_nothing_else(client, photo, hole, name):
    answer = send(client, photo, hole, model=name)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-model"] == name
    result = pixels(answer.content)
    np.testing.assert_array_equal(result[hole == 0], photo[hole == 0])
    assert (result[hole > 0] != photo[hole > 0]).mean() > 0.5


@pytest.mark.parametrize("name", SEEDED)
def test_seed_chooses_the_noise_and_the_answer_names_it(client, photo, hole, name):
    [spec] = [spec for spec in SPECS if spec.name == name]
    own, stated, other = (
        send(client, photo, hole, model=name, **fields)
        for fields in ({}, {"seed": spec.default_seed}, {"seed": 7})
    )
    assert [answer.headers["x-seed"] for answer in (own, stated, other)] == [
        *[str(spec.default_seed)] * 2,
        "7",
    ]
    assert own.content == stated.content
    assert (pixels(other.content) != pixels(own.content))[hole > 0].any()


def test_models_lists_all_of_them_as_their_files_state(client):
    cards = {card["name"]: card for card in client.get("/models").json()["models"]}
    for spec in SPECS:
        card = cards[spec.name]
        assert card["state"] in ("downloaded", "loaded"), spec.name
        assert card["licence"] == spec.licence.model_dump()
        assert card["size"] == spec.size.model_dump()
        assert card["tiling"] == spec.tiling.model_dump()
        assert tuple(card["parameters"]) == spec.reads


def test_two_files_in_a_folder_of_the_users_add_a_model(client, photo, hole):
    answer = send(client, photo, hole, model=user_models.NAME)
    assert answer.status_code == 200, answer.text
    result = pixels(answer.content)
    assert np.unique(result[hole > 0]).tolist() == [user_models.LEVEL]
    np.testing.assert_array_equal(result[hole == 0], photo[hole == 0])
    card = client.get(f"/models/{user_models.NAME}").json()
    assert card["licence"]["name"] == "MIT"
