"""How AnyText's prompt says what to write: a line's look takes the place of a word's meaning."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from deployments.models.any_text_prompts import PLACEHOLDER
from deployments.models.lora_views import share
from deployments.models.text_recogniser import (
    COLUMNS,
    HEIGHT,
    WIDTH,
    RecogniserWidths,
    TextRecogniser,
)
from inpaint.errors import ParamsError


class LineEncoder(nn.Module):
    """A line's picture to what stands for it among the prompt's words.

    Args:
        widths: of the recogniser that looks at it.
        width: of a word.
    """

    def __init__(self, widths: RecogniserWidths, width: int) -> None:
        super().__init__()
        self.recogniser = TextRecogniser(widths)
        self.proj = nn.Linear(COLUMNS * widths.features, width)

    def forward(self, strips: Tensor) -> Tensor:
        """(N, h, w) in 0..1, white on black, to (N, width)."""
        height, width = strips.shape[1:]
        # Rounded up: 512x80 becomes 308x48; the rest of the recogniser's picture stays grey.
        size = (HEIGHT, min(-(-HEIGHT * width // height), WIDTH))
        scaled = functional.interpolate(strips[:, None], size, mode="bilinear", align_corners=True)
        picture = functional.pad(2 * scaled - 1, (0, WIDTH - size[1]))
        features: Tensor = self.recogniser(picture.expand(-1, 3, -1, -1))
        embedded: Tensor = self.proj(features.flatten(1))
        return embedded


def encode_texts(
    texts: Sequence[str], lines: Tensor, tokenizer: CLIPTokenizer, encoder: CLIPTextModel
) -> Tensor:
    """Encode texts, with the lines in the places of their placeholders.

    Args:
        texts: each with as many placeholders as there are lines, or with none.
        lines: (L, width), on any device.
        tokenizer: CLIP's.
        encoder: stays as it is.

    Returns:
        (N, 77, width) where and as the encoder computes.

    Raises:
        ParamsError: a placeholder lies beyond what CLIP reads.
    """
    tokens = tokenizer(
        list(texts),
        truncation=True,
        max_length=tokenizer.model_max_length,
        padding="max_length",
        return_tensors="pt",
    ).input_ids
    places = tokens == placeholder_token(tokenizer)
    for text, found in zip(texts, places.sum(dim=1).tolist(), strict=True):
        if found < text.count(PLACEHOLDER):
            raise ParamsError(
                f"prompt: line {found + 1} comes after the {tokenizer.model_max_length} tokens "
                "that the model reads; shorten what is outside the quotes."
            )

    def put_lines(_module: nn.Module, _given: object, words: Tensor) -> Tensor:
        rows = places.to(words.device)
        repeats = int(rows.sum()) // len(lines)
        return words.masked_scatter(rows[..., None], lines.to(words).repeat(repeats, 1))

    view = share(encoder)
    view.get_input_embeddings().register_forward_hook(put_lines)
    encoded: Tensor = view(tokens.to(encoder.device)).last_hidden_state
    return encoded


def placeholder_token(tokenizer: CLIPTokenizer) -> int:
    """The one token that the placeholder is."""
    [token] = tokenizer(PLACEHOLDER, add_special_tokens=False).input_ids
    return int(token)
