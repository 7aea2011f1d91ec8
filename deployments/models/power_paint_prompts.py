"""PowerPaint's tasks: words that were learnt for them, in mixtures of two prompts.

Zhuang et al. 2023, "A Task is Worth One Word: Learning with Task Prompts for High-Quality
Versatile Image Inpainting". Words, counts and prompts are those of IOPaint 1.6
(model/power_paint/powerpaint_tokenizer.py), which took words and counts from the authors' own
open-mmlab/PowerPaint; the authors' demo differs in the negative prompts of two tasks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from deployments.models.checkpoints import corrupt
from deployments.models.prompts import Prompt, PromptCache
from inpaint.params import DiffusionParams, PowerPaintTask

CONTEXT, SHAPE, OBJECT = "P_ctxt", "P_shape", "P_obj"
"""What fits the surroundings; an object that fills the mask; any object."""
WORDS = (CONTEXT, SHAPE, OBJECT)
VECTORS = 10
"""Each word is that many rows of the embedding table, and as many of a prompt's 77 places."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a task adds to the prompts."""

    first: str
    """Towards this one with `fitting_degree`; at 1 there is nothing else."""
    second: str
    negative: str = ""


TASKS: Mapping[PowerPaintTask, Words] = MappingProxyType(
    {
        "text-guided": Words(OBJECT, OBJECT),
        "context-aware": Words(CONTEXT, CONTEXT),
        "shape-guided": Words(SHAPE, CONTEXT),
        "object-remove": Words(CONTEXT, CONTEXT, negative=OBJECT),
        "outpainting": Words(CONTEXT, CONTEXT, negative=OBJECT),
    }
)


def vectors_of(word: str) -> tuple[str, ...]:
    """The names that a word's vectors have in the vocabulary."""
    return tuple(f"{word}_{number}" for number in range(VECTORS))


def spell_out(text: str) -> str:
    """`text` with the names of the vectors in place of the words, as the tokenizer knows them."""
    for word in WORDS:
        text = text.replace(word, " ".join(vectors_of(word)))
    return text


def say(text: str, word: str) -> str:
    """A prompt and a task's word, spelt out; neither needs to be there.

    The encoder cuts off what is beyond CLIP's 77 tokens, at the end, and the word with it: so it
    is in IOPaint.
    """
    return spell_out(f"{text} {word}".strip())


def task_prompts(
    prompts: PromptCache, params: DiffusionParams, text: str, negative_text: str
) -> tuple[Prompt, Prompt | None]:
    """What is wanted and what is not, encoded; the latter is None without guidance.

    Args:
        prompts: of a text encoder that knows the words.
        params: name the task, and how its words are mixed.
        text: what stands before the words.
        negative_text: what stands before the negative ones.
    """
    words = TASKS[params.powerpaint_task]
    first, second = say(text, words.first), say(text, words.second)
    prompt = mixed(prompts, first, second, params.fitting_degree)
    if params.sd_guidance_scale <= 1:
        return prompt, None
    return prompt, prompts[say(negative_text, words.negative)]


def mixed(prompts: PromptCache, first: str, second: str, degree: float) -> Prompt:
    """Two texts, encoded and mixed. Equal ones are taken as they are, without any rounding."""
    if first == second:
        return prompts[first]
    return Prompt(mix(prompts[first].tokens, prompts[second].tokens, degree), None)


def mix(first: Tensor, second: Tensor, degree: float) -> Tensor:
    """All of `first` at 1, all of `second` at 0."""
    return first * degree + (1 - degree) * second


def check_words(tokenizer: Any, text_encoder: Any, path: Path) -> None:
    """Make sure that a text encoder knows PowerPaint's words.

    Args:
        tokenizer: CLIP's, to which each of the words' vectors was added.
        text_encoder: with a row for each entry of the vocabulary.
        path: of the folder that holds both, for the message.

    Raises:
        WeightsCorruptError: it does not.
    """
    for word in WORDS:
        known = tokenizer.convert_tokens_to_ids(list(vectors_of(word)))
        read = tokenizer(spell_out(word), add_special_tokens=False).input_ids
        if read != known or len(set(read)) < VECTORS:
            raise corrupt(
                path,
                f"its vocabulary lacks PowerPaint's word {word}, which is {VECTORS} added tokens "
                f"{vectors_of(word)[0]} to {vectors_of(word)[-1]}.",
            )
    rows = text_encoder.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise corrupt(
            path, f"its vocabulary has {len(tokenizer)} entries, and its text encoder {rows} rows."
        )
