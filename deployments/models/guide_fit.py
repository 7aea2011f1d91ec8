"""Whether a network that guides a UNet was made for it: a ControlNet, a BrushNet."""

from typing import Any


def misfit(guide: Any, unet: Any) -> str | None:
    """What keeps `guide` from guiding `unet`; None where it fits.

    Args:
        guide: with a config that names its parts as diffusers' ControlNetModel does.
        unet: UNet2DConditionModel.
    """
    own, other = guide.config, unet.config
    names = {
        "block_out_channels": "widths",
        "layers_per_block": "layers",
        "addition_embed_type": "embedding",
        "projection_class_embeddings_input_dim": "embedding's width",
    }
    kinds = (*own.down_block_types, getattr(own, "mid_block_type", None) or "")
    if any("Cross" in kind for kind in kinds):
        names["cross_attention_dim"] = "prompt's width"
    for name, what in names.items():
        given, wanted = _plain(getattr(own, name)), _plain(getattr(other, name))
        if given != wanted:
            return f"its {what} is {given}, the checkpoint's {wanted}"
    return None


def _plain(value: object) -> object:
    """Configs from JSON have lists where those from code have tuples."""
    return tuple(value) if isinstance(value, list | tuple) else value
