"""What IOPaint's page is told of models, samplers and plugins."""

from collections.abc import Iterable, Sequence
from typing import get_args

from pydantic import BaseModel, Field

from inpaint.adapters import BRUSHNETS, CONTROLNETS, POWERPAINT_V2, choices
from inpaint.params import Sampler
from inpaint.settings import IOPaintArgs
from inpaint.specs import AdapterSpec, Kind, ModelSpec

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
    def of(cls, spec: ModelSpec, adapters: Sequence[AdapterSpec]) -> "ModelInfo":
        """What IOPaint says of a model. Its path is its name, no file's.

        Args:
            spec: the model.
            adapters: those that fit it, in the catalog's order: what ControlNets and BrushNets it
                is offered with.
        """
        facts = spec.diffusion
        name = _iopaints_name(spec)
        controlnets = tuple(adapter.name for adapter in choices(CONTROLNETS, spec, adapters))
        brushnets = tuple(adapter.name for adapter in choices(BRUSHNETS, spec, adapters))
        return cls(
            name=name,
            path=name,
            model_type=_model_type(spec),
            is_single_file_diffusers=facts is not None and facts.is_single_file,
            need_prompt="prompt" in spec.reads,
            controlnets=controlnets,
            brushnets=brushnets,
            support_strength="sd_strength" in spec.reads,
            support_outpainting=facts is not None or "powerpaint_task" in spec.reads,
            support_lcm_lora="sd_lcm_lora" in spec.reads,
            support_controlnet=bool(controlnets),
            support_brushnet=bool(brushnets),
            support_powerpaint_v2=bool(choices(POWERPAINT_V2, spec, adapters)),
        )


def _iopaints_name(spec: ModelSpec) -> str:
    """The name of the model's repository where the model is known by it, as its page wants it:
    it shows what PowerPaint and AnyText can do where it sees their repositories' names.
    """  # noqa: D205  one sentence
    repository = spec.repository.repo_id if spec.repository else spec.name
    return repository if repository in spec.aliases else spec.name


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
    enableControlnet: bool = Field(  # noqa: N815
        description="Whether the page begins with ControlNet switched on."
    )
    controlnetMethod: str | None = Field(  # noqa: N815
        description="The ControlNet that the page begins with; null where the default model takes "
        "none."
    )
    disableModelSwitch: bool = False  # noqa: N815
    isDesktop: bool = False  # noqa: N815
    samplers: tuple[str, ...] = SAMPLERS

    @classmethod
    def of(
        cls,
        models: Iterable[ModelInfo],
        default: ModelInfo,
        args: IOPaintArgs,
        plugins: tuple[PluginInfo, ...],
        has_file_manager: bool,
    ) -> "ServerConfig":
        """What this server offers.

        Args:
            models: those that repaint here.
            default: the one that answers where a request names none.
            args: what IOPaint's command line sets.
            plugins: those of this server.
            has_file_manager: whether there is a folder to choose from.
        """
        return cls(
            plugins=plugins,
            modelInfos=tuple(models),
            enableFileManager=has_file_manager,
            enableAutoSaving=args.output_dir is not None,
            enableControlnet=args.enable_controlnet,
            controlnetMethod=args.controlnet_method or next(iter(default.controlnets), None),
        )


class SwitchModel(BaseModel):
    """POST /api/v1/model."""

    name: str = Field(description="A model of server-config's modelInfos.")
