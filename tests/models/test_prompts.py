"""Prompts and previews of diffusion models."""

import numpy as np
import pytest
import torch

from deployments.models.latent_previews import preview
from deployments.models.prompts import Prompt, PromptCache


class Counting:
    def __init__(self):
        self.texts = []

    def __call__(self, text):
        self.texts.append(text)
        return Prompt(torch.zeros(1, 77, 4), None)


def test_a_text_is_encoded_once():
    encode = Counting()
    cache = PromptCache(encode)
    assert cache["cat"] is cache["cat"]
    assert cache["cat"] is not cache["Cat"]
    assert encode.texts == ["cat", "Cat"]


def test_the_texts_used_last_are_kept():
    encode = Counting()
    cache = PromptCache(encode, entries=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        _ = cache[text]
    assert encode.texts == ["a", "b", "c", "b"]


def test_a_text_that_fails_is_not_kept():
    def fail(text):
        raise RuntimeError(text)

    cache = PromptCache(fail)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            _ = cache["cat"]


@pytest.mark.parametrize(
    ("is_xl", "latents", "colour"),
    [
        (False, (0, 0, 0, 0), (128, 128, 128)),
        (False, (1, 0, 0, 0), (165, 154, 154)),
        (False, (0, 0, 0, 1), (104, 93, 67)),
        (True, (0, 0, 0, 0), (150, 140, 130)),
        (True, (1, 0, 0, 0), (210, 200, 190)),
        (True, (0, 1, 0, 0), (90, 135, 140)),
    ],
)
def test_preview_is_a_linear_map_of_the_latents(is_xl, latents, colour):
    picture = preview(torch.tensor(latents).float().reshape(1, 4, 1, 1).expand(1, 4, 3, 5), is_xl)
    assert picture.shape == (3, 5, 3)
    assert picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - colour).max() <= 1


def test_preview_brings_loud_noise_to_the_scale_of_pictures():
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    unit = noise / noise.std()
    loud, soft = (preview(unit * scale, False).astype(int) for scale in (14, 1))
    assert np.abs(loud - soft).max() <= 1
