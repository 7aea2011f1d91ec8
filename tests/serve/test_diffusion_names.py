"""SD15 and SDXL on a real Serve application: the guide's eight names and IOPaint's samplers.

Each name has a checkpoint of its own of the right type: random weights, the published layout.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, product
from typing import get_args

import cv2
import numpy as np
import pytest

from inpaint.params import Sampler
from tests.conftest import pixels
from tests.serve.checkpoints import CHECKPOINTS, SD15, SDXL, one_thread, send

SAMPLERS = get_args(Sampler)
STEPS = {SD15: 3, SDXL: 5}
"""Enough for samplers to differ; SDXL runs one less, and its steps are quick."""


@pytest.fixture(scope="module")
def picture():
    """(512, 512, 3) uint8 RGB: the size that these networks take, so that nothing is padded."""
    coarse = np.random.default_rng(3).integers(0, 256, (9, 9, 3), np.uint8)
    return cv2.resize(coarse, (512, 512), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def hole():
    mask = np.zeros((512, 512), np.uint8)
    mask[130:400, 100:380] = 255
    return mask


@pytest.fixture
def paint(client, checkpoints, picture, hole):
    """A function: the pixels of a run; only the hole differs from the picture."""

    def paint(**fields):
        answer = send(client, picture, hole, **fields)
        assert answer.status_code == 200, answer.text[:500]
        assert answer.headers["x-model"] == fields.get("model", SDXL)
        result = pixels(answer.content)
        np.testing.assert_array_equal(result[hole == 0], picture[hole == 0])
        assert (result != picture).any(axis=2)[hole > 0].mean() > 0.9
        return result

    return paint


@pytest.fixture(scope="module")
def remembered():
    """Answers that several tests need, by what was asked."""
    return {}


def levels(first, second, hole):
    """Mean difference inside the hole, in levels of 255."""
    return np.abs(first.astype(int) - second)[hole > 0].mean()


def painted_by_diffusers(folder, family, picture, hole):
    """What diffusers' own pipeline makes of the same request."""
    import torch
    from diffusers import (
        EulerDiscreteScheduler,
        StableDiffusionInpaintPipeline,
        StableDiffusionXLInpaintPipeline,
    )
    from PIL import Image

    is_xl = family == "sdxl"
    kind = StableDiffusionXLInpaintPipeline if is_xl else StableDiffusionInpaintPipeline
    pipeline = kind.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    result = pipeline(
        prompt="a cat",
        negative_prompt="",
        image=Image.fromarray(picture),
        mask_image=Image.fromarray(hole),
        height=512,
        width=512,
        num_inference_steps=2,
        strength=0.999 if is_xl else 1.0,
        guidance_scale=7.5,
        generator=torch.Generator().manual_seed(7),
        output_type="np",
    )
    return (result.images[0] * 255).round().astype(np.uint8)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_name_is_answered_by_its_own_checkpoint(
    name, paint, checkpoints, picture, hole, remembered
):
    remembered[name] = result = paint(model=name, sd_sampler="Euler")
    with one_thread():
        expected = painted_by_diffusers(checkpoints[name], CHECKPOINTS[name][0], picture, hole)
    assert levels(result, expected, hole) < 0.3  # sums may be taken in another order


def test_checkpoints_can_be_told_apart(paint, hole, remembered):
    for name in CHECKPOINTS:
        if name not in remembered:
            remembered[name] = paint(model=name, sd_sampler="Euler")
    results = [remembered[name] for name in CHECKPOINTS]
    assert min(levels(*pair, hole) for pair in combinations(results, 2)) > 5


def test_models_says_which_family_and_kind(client, checkpoints):
    cards = {card["name"]: card for card in client.get("/models").json()["models"]}
    for name, (family, _) in CHECKPOINTS.items():
        card = cards[name]
        assert (card["family"].lower(), card["kind"]) == (family, "diffusion")
        assert card["state"] in ("downloaded", "loaded")
        assert card["available"]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_paints(sampler, paint, remembered):
    """Both families at once: each has a replica of its own."""

    def ask(model):
        return paint(model=model, sd_sampler=sampler, sd_steps=STEPS[model])

    with ThreadPoolExecutor(len(STEPS)) as pool:
        for model, result in zip(STEPS, pool.map(ask, STEPS), strict=True):
            remembered[model, sampler] = result
            assert 5 < result.std() < 120


@pytest.mark.parametrize("model", STEPS)
def test_samplers_differ(model, hole, remembered):
    results = [remembered[key] for key in product([model], SAMPLERS) if key in remembered]
    assert len(results) == len(SAMPLERS), "this test needs the pictures of the one before"
    assert min(levels(*pair, hole) for pair in combinations(results, 2)) > 0.05
