"""The fields of POST /v1/images/edits; names, words and ranges are OpenAI's.

Every field that is not among them goes to the model as one of POST /inpaint, which refuses what the
model does not read.
"""

from typing import Literal

from pydantic import Field, field_validator

from inpaint.arrays import Size
from inpaint.codecs import Format
from inpaint.errors import ParamsError
from inpaint.specs import Spec

AUTO = "auto"
BEST = 100
"""OpenAI's default of output_compression."""
MOST_IMAGES, MOST_PARTIALS = 10, 3
LONGEST_PROMPT = 32_000
"""In characters. A model with a prompt has a limit of its own; see inpaint/params.py."""

Word = str | None


class EditFields(Spec):
    """What a request says beside its pictures."""

    model: str | None = Field(
        default=None, description="A name of GET /v1/models; absent: the default.", max_length=200
    )
    prompt: str = Field(
        default="",
        max_length=LONGEST_PROMPT,
        description="What the hole should show. Models without a prompt ignore it.",
    )
    n: int = Field(
        default=1, ge=1, le=MOST_IMAGES, description="Pictures, each with the next seed."
    )
    size: str = Field(
        default=AUTO,
        pattern=r"^(auto|[0-9]{1,6}x[0-9]{1,6})$",
        description="auto, or the picture's own WIDTHxHEIGHT: results have its size.",
    )
    output_format: Literal["png", "jpeg", "webp"] = Field(
        default="png", description="Format of the results."
    )
    output_compression: int = Field(
        default=BEST, ge=0, le=BEST, description="Quality of jpeg and webp; 100 is the best."
    )
    response_format: Literal["b64_json"] = Field(
        default="b64_json", description="b64_json: nothing is stored that a URL could name."
    )
    stream: bool = Field(default=False, description="Answer with events; n must be 1.")
    partial_images: int = Field(
        default=0,
        ge=0,
        le=MOST_PARTIALS,
        description="With stream: how many coarse pictures come before the result, of models with "
        "a prompt.",
    )
    background: Literal["auto"] = Field(
        default="auto", description="auto: a picture keeps the transparency that it has."
    )
    quality: Word = Field(default=None, max_length=40, description="Ignored.")
    moderation: Word = Field(default=None, max_length=40, description="Ignored.")
    input_fidelity: Word = Field(
        default=None, max_length=40, description="Ignored: what is not marked stays as it was."
    )
    user: Word = Field(default=None, max_length=1000, description="Ignored, and not logged.")
    safety_identifier: Word = Field(
        default=None, max_length=1000, description="Ignored, and not logged."
    )

    @field_validator("response_format", mode="before")
    @classmethod
    def _nothing_is_stored(cls, value: object) -> object:
        if value == "url":
            raise ValueError("nothing is stored here, so there are no URLs; ask for 'b64_json'")
        return value

    @field_validator("background", mode="before")
    @classmethod
    def _transparency_is_the_pictures(cls, value: object) -> object:
        if value in ("transparent", "opaque"):
            raise ValueError("pictures keep the transparency that they have; send 'auto'")
        return value

    @property
    def format(self) -> Format:
        """Of the results."""
        return Format(self.output_format)

    @property
    def encoder_quality(self) -> int:
        """Of jpeg and webp, 1 to 100: encoders know no 0."""
        return max(1, self.output_compression)

    def check(self, size: Size) -> None:
        """Raise ParamsError for what goes together with nothing, or not with a picture of `size`.

        Args:
            size: (height, width) in pixels, upright.
        """
        own = words_of(size)
        if self.size not in (AUTO, own):
            raise ParamsError(
                f"size: results have the size of the picture, here {own}; send that, or 'auto'.",
                {"param": "size"},
            )
        if self.stream and self.n > 1:
            raise ParamsError("n: a stream brings one picture; send n=1.", {"param": "n"})
        if self.format is Format.PNG and self.output_compression < BEST:
            raise ParamsError(
                "output_compression: is for jpeg and webp; a png is always without loss.",
                {"param": "output_compression"},
            )


def words_of(size: Size) -> str:
    """A (height, width) as OpenAI writes it: WIDTHxHEIGHT."""
    return f"{size[1]}x{size[0]}"
