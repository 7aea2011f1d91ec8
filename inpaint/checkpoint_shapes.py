"""What a single-file diffusion checkpoint is, told by the names and shapes of its tensors.

The names are those of the authors' own code (CompVis/stable-diffusion and
Stability-AI/generative-models), which every single file keeps.
"""

from collections.abc import Mapping

from inpaint.specs import Base, DiffusionFacts

Shapes = Mapping[str, tuple[int, ...]]

UNET = "model.diffusion_model"
VAE = "first_stage_model"
CLIP: Mapping[Base, str] = {
    "sd15": "cond_stage_model.transformer.text_model",
    "sdxl": "conditioner.embedders.0.transformer.text_model",
}
OPEN_CLIP = "conditioner.embedders.1.model"
"""Where each part's tensors are: how their names begin."""

FIRST_LAYER = f"{UNET}.input_blocks.0.0.weight"
VAE_LAYERS = (f"{VAE}.encoder.conv_in.weight", f"{VAE}.decoder.conv_in.weight")
WORDS = "embeddings.token_embedding.weight"
SDXL_TEXT_2 = f"{OPEN_CLIP}.positional_embedding"
SD2_TEXT = "cond_stage_model.model.positional_embedding"
REFINER_TEXT = "conditioner.embedders.0.model.positional_embedding"

SD2 = "it is Stable Diffusion 2, which is not served; 1.5 and XL are"

CHANNELS = {4: False, 9: True}
"""Of a UNet's input, and whether it sees mask and masked picture."""


class NotAModelError(ValueError):
    """A file or folder holds no diffusion model that can be served. Its text says what it holds."""


def facts_of(shapes: Shapes) -> DiffusionFacts:
    """What the file with these tensors is.

    Raises:
        NotAModelError: nothing that can be served.
    """
    first = shapes.get(FIRST_LAYER)
    if first is None or len(first) != 4:
        raise NotAModelError("it holds no Stable Diffusion UNet; a LoRA, VAE or embedding perhaps")
    base = _base(shapes)
    if any(name not in shapes for name in VAE_LAYERS):
        raise NotAModelError("it holds no VAE; only whole checkpoints can be served")
    return DiffusionFacts(base=base, inpainting=sees_masks(first[1]), is_single_file=True)


def sees_masks(channels: object) -> bool:
    """Whether a UNet with so many input channels is one for inpainting.

    Raises:
        NotAModelError: it is for something else.
    """
    if isinstance(channels, int) and channels in CHANNELS:
        return CHANNELS[channels]
    known = {8: ": InstructPix2Pix", 7: ": an upscaler", 5: ": made for depth maps"}
    what = known.get(channels, "") if isinstance(channels, int) else ""
    raise NotAModelError(f"its UNet takes {channels} channels{what}; 4 or 9 can be served")


def _base(shapes: Shapes) -> Base:
    if f"{CLIP['sdxl']}.{WORDS}" in shapes and SDXL_TEXT_2 in shapes:
        return "sdxl"
    if f"{CLIP['sd15']}.{WORDS}" in shapes:
        return "sd15"
    if SD2_TEXT in shapes:
        raise NotAModelError(SD2)
    if REFINER_TEXT in shapes:
        raise NotAModelError("it is SDXL's refiner, which paints nothing on its own")
    raise NotAModelError("it holds no text encoder of Stable Diffusion 1.5 or XL")
