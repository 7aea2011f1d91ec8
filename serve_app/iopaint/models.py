"""What IOPaint's page is told of models, samplers and plugins."""

from collections.abc import Iterable
from typing import get_args

from pydantic import BaseModel, Field

from inpaint.params import Sampler
from inpaint.settings import IOPaintArgs
from inpaint.specs import Kind, ModelSpec

SAMPLERS: tuple[str, ...] = get_args(Sampler)

REMOVE_BG_MODELS = (
    "briaai/RMBG-1.4",
    "briaai/RMBG-2.0",
    "u2net",
    "u2netp",
    "u2net_human_seg",
    "u2net_cloth_seg",
    "silueta",
    "isnet-general-use",
    "birefnet-general",
    "birefnet-general-lite",
    "birefnet-portrait",
    "birefnet-dis",
    "birefnet-hrsod",
    "birefnet-cod",
    "birefnet-massive",
)
REALESRGAN_MODELS = ("realesr-general-x4v3", "RealESRGAN_x4plus", "RealESRGAN_x4plus_anime_6B")
INTERACTIVE_SEG_MODELS = (
    "vit_b",
    "vit_l",
    "vit_h",
    "sam_hq_vit_b",
    "sam_hq_vit_l",
    "sam_hq_vit_h",
    "mobile_sam",
    "sam2_tiny",
    "sam2_small",
    "sam2_base",
    "sam2_large",
    "sam2_1_tiny",
    "sam2_1_small",
    "sam2_1_base",
    "sam2_1_large",
)


class ModelInfo(BaseModel):
    """One model; the defaults are those of a model without a prompt."""

    name: str
    path: str
    model_type: str = "inpaint"
    is_single_file_diffusers: bool = False
    need_prompt: bool = False
    controlnets: tuple[str, ...] = ()
    brushnets: tuple[str, ...] = ()
    support_strength: bool = False
    support_outpainting: bool = False
    support_lcm_lora: bool = False
    support_controlnet: bool = False
    support_brushnet: bool = False
    support_powerpaint_v2: bool = False

    @classmethod
    def of(cls, spec: ModelSpec) -> "ModelInfo":
        """What IOPaint says of a model of that name. Its path is the name, no file's.

        ControlNet, BrushNet and PowerPaint are not offered, whatever the checkpoint.
        """
        facts = spec.diffusion
        return cls(
            name=spec.name,
            path=spec.name,
            model_type=_model_type(spec),
            is_single_file_diffusers=facts is not None and facts.is_single_file,
            need_prompt="prompt" in spec.reads,
            support_strength="sd_strength" in spec.reads,
            support_outpainting=spec.kind is Kind.DIFFUSION,
            support_lcm_lora="sd_lcm_lora" in spec.reads,
        )


def _model_type(spec: ModelSpec) -> str:
    facts = spec.diffusion
    if facts is None:
        return "diffusers_other" if spec.kind is Kind.DIFFUSION else "inpaint"
    base = {"sd15": "sd", "sdxl": "sdxl"}[facts.base]
    return f"diffusers_{base}_inpaint" if facts.inpainting else f"diffusers_{base}"


class PluginInfo(BaseModel):
    """One plugin."""

    name: str
    support_gen_image: bool = False
    support_gen_mask: bool = False


class ServerConfig(BaseModel):
    """GET /api/v1/server-config. The names of plugins' models are what IOPaint says without any."""

    plugins: tuple[PluginInfo, ...] = ()
    modelInfos: tuple[ModelInfo, ...] = Field(description="Every model that repaints here.")  # noqa: N815
    removeBGModel: str = REMOVE_BG_MODELS[0]  # noqa: N815
    removeBGModels: tuple[str, ...] = REMOVE_BG_MODELS  # noqa: N815
    realesrganModel: str = REALESRGAN_MODELS[0]  # noqa: N815
    realesrganModels: tuple[str, ...] = REALESRGAN_MODELS  # noqa: N815
    interactiveSegModel: str = "sam2_1_tiny"  # noqa: N815
    interactiveSegModels: tuple[str, ...] = INTERACTIVE_SEG_MODELS  # noqa: N815
    enableFileManager: bool  # noqa: N815
    enableAutoSaving: bool  # noqa: N815
    enableControlnet: bool = False  # noqa: N815
    controlnetMethod: str | None = None  # noqa: N815
    disableModelSwitch: bool = False  # noqa: N815
    isDesktop: bool = False  # noqa: N815
    samplers: tuple[str, ...] = SAMPLERS

    @classmethod
    def of(cls, models: Iterable[ModelSpec], args: IOPaintArgs) -> "ServerConfig":
        """What this server offers. Looks at the disk."""
        return cls(
            modelInfos=tuple(ModelInfo.of(spec) for spec in models),
            enableFileManager=False,  # its routes are not there yet
            enableAutoSaving=args.output_dir is not None,
        )


class SwitchModel(BaseModel):
    """POST /api/v1/model."""

    name: str = Field(description="A model of server-config's modelInfos.")
