"""PowerPaint's words and tasks, by themselves."""

import json

import pytest
import torch

from deployments.models.power_paint_prompts import (
    TASKS,
    WORDS,
    check_words,
    mix,
    mixed,
    say,
    spell_out,
    vectors_of,
)
from deployments.models.prompts import Prompt, PromptCache
from deployments.models.stable_diffusion_parts import read_tokenizer
from inpaint.errors import WeightsCorruptError
from tests.standins.clip_vocabulary import write_vocabulary
from tests.standins.diffusion import edit_json, random_text_encoder
from tests.standins.power_paint import ADDED, add_words

ENTRIES = 518
"""Of the vocabulary before the words."""


@pytest.fixture
def tokenizer(tmp_path):
    """A function: the tokenizer with the words; before transformers 4.35 without a decoder."""

    def read(*, decoder: bool):
        add_words(tmp_path, write_vocabulary(tmp_path))
        if not decoder:
            path = tmp_path / "tokenizer_config.json"
            settings = json.loads(path.read_text())
            del settings["added_tokens_decoder"]
            path.write_text(json.dumps(settings))
        return read_tokenizer(tmp_path)

    return read


def test_words_are_thirty_vectors_with_names():
    names = [name for word in WORDS for name in vectors_of(word)]
    assert tuple(names) == ADDED
    assert names[::10] == ["P_ctxt_0", "P_shape_0", "P_obj_0"]
    assert names[9::10] == ["P_ctxt_9", "P_shape_9", "P_obj_9"]


def test_words_are_spelt_out_wherever_they_stand():
    ctxt, obj = (" ".join(vectors_of(word)) for word in ("P_ctxt", "P_obj"))
    assert spell_out("a cat") == "a cat"
    assert spell_out("a P_obj, P_ctxtP_obj") == f"a {obj}, {ctxt}{obj}"
    assert say("a cat", "P_obj") == f"a cat {obj}"
    assert say("", "P_ctxt") == ctxt
    assert say("dog", "") == "dog"
    assert say("", "") == ""


@pytest.mark.parametrize(
    ("task", "positive", "negative"),
    [
        ("text-guided", ("P_obj", "P_obj"), ""),
        ("context-aware", ("P_ctxt", "P_ctxt"), ""),
        ("shape-guided", ("P_shape", "P_ctxt"), ""),
        ("object-remove", ("P_ctxt", "P_ctxt"), "P_obj"),
        ("outpainting", ("P_ctxt", "P_ctxt"), "P_obj"),
    ],
)
def test_tasks_mean_the_words_of_iopaint(task, positive, negative):
    """What its add_task_to_prompt appends; the two negative prompts are equal in every task."""
    words = TASKS[task]
    assert (words.first, words.second) == positive
    assert words.negative == negative


def test_mixture_is_one_of_its_ends_at_1_and_the_other_at_0():
    first, second = torch.randn(2, 1, 77, 8, generator=torch.Generator().manual_seed(0)).unbind()
    assert torch.equal(mix(first, second, 1.0), first)
    assert torch.equal(mix(first, second, 0.0), second)
    quarter = second + (first - second) / 4
    torch.testing.assert_close(mix(first, second, 0.25), quarter)


def test_equal_texts_are_not_mixed():
    """Not even by a rounding: the encoding itself is taken."""
    cache = PromptCache(lambda text: Prompt(torch.full((1, 77, 4), 0.1 * len(text)), None))
    assert mixed(cache, "cat", "cat", 0.3) is cache["cat"]
    other = mixed(cache, "a", "bcd", 0.5).tokens
    torch.testing.assert_close(other, torch.full((1, 77, 4), 0.2))


@pytest.mark.parametrize("decoder", [True, False])
def test_every_vector_is_one_token(tokenizer, decoder):
    read = tokenizer(decoder=decoder)
    plain = len(read("a cat").input_ids)
    for number, word in enumerate(WORDS):
        numbers = read(say("a cat", word)).input_ids[plain - 1 : -1]
        assert numbers == list(range(ENTRIES + 10 * number, ENTRIES + 10 * number + 10))


def test_vocabulary_with_a_row_for_every_entry_is_taken(tokenizer, tmp_path):
    check_words(tokenizer(decoder=True), random_text_encoder(ENTRIES + 30), tmp_path)


def test_vocabulary_without_the_words_is_refused(tmp_path):
    encoder = random_text_encoder(ENTRIES + 30)
    write_vocabulary(tmp_path)
    with pytest.raises(WeightsCorruptError, match=r"lacks PowerPaint's word P_ctxt.*P_ctxt_9"):
        check_words(read_tokenizer(tmp_path), encoder, tmp_path)


@pytest.mark.parametrize("lacking", ["P_shape_4", "P_obj_9"])
def test_word_that_lacks_a_vector_is_named(tmp_path, lacking):
    write_vocabulary(tmp_path)
    tokens = [token for token in ADDED if token != lacking]
    read = read_tokenizer(tmp_path)
    read.add_tokens(tokens)
    with pytest.raises(WeightsCorruptError, match=rf"word {lacking[:-2]},"):
        check_words(read, random_text_encoder(ENTRIES + 30), tmp_path)


def test_words_among_clips_own_entries_are_no_added_tokens(tmp_path):
    """No merge leads to them, so a prompt would never contain them."""
    write_vocabulary(tmp_path)
    edit_json(tmp_path / "vocab.json", **{token: ENTRIES + i for i, token in enumerate(ADDED)})
    with pytest.raises(WeightsCorruptError, match="P_ctxt"):
        check_words(read_tokenizer(tmp_path), random_text_encoder(ENTRIES + 30), tmp_path)


def test_text_encoder_without_rows_for_the_words_is_refused(tokenizer, tmp_path):
    with pytest.raises(WeightsCorruptError, match="548 entries, and its text encoder 518 rows"):
        check_words(tokenizer(decoder=True), random_text_encoder(ENTRIES), tmp_path)
