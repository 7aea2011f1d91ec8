"""Small random Stable Diffusion checkpoints, stored as the published ones are.

The structure is the real one; only widths and depths are small. Importing this imports no torch.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from tests.standins.clip_vocabulary import write_vocabulary

Family = Literal["sd15", "sdxl"]

REVISION = "0123456789abcdef0123456789abcdef01234567"
WIDTH = 32
"""Of the first level; the least that 32 groups of normalisation allow."""
NARROW = 4
"""The same for runs of 512x512 px, which take half a second then."""
TEXT_WIDTH = 64
SECOND_WIDTH = 128
"""Of SDXL's second text encoder. Unlike the first's: by that, diffusers tells them apart."""
TEXT_LAYERS = 2
"""SDXL reads the last but one."""
SIZE_NUMBERS = 6 * 256
"""Of what SDXL's UNet is told of sizes; the rest of that input is the pooled prompt."""

SCHEDULERS: dict[Family, dict[str, object]] = {
    "sd15": {"_class_name": "PNDMScheduler"},
    "sdxl": {
        "_class_name": "EulerDiscreteScheduler",
        "interpolation_type": "linear",
        "prediction_type": "epsilon",
        "sample_max_value": 1.0,
        "timestep_spacing": "leading",
        "use_karras_sigmas": False,
    },
}
"""What the published configs say besides NOISE, and no more: a sampler's own defaults hold for
what they leave out."""
NOISE: dict[str, object] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}


def random_unet(family: Family, channels: int, width: int = WIDTH) -> Any:
    """A UNet whose first level has `width` channels; below 32 with fewer groups and heads."""
    from diffusers import UNet2DConditionModel

    common = {
        "sample_size": 8,
        "in_channels": channels,
        "out_channels": 4,
        "layers_per_block": 2,
        "norm_num_groups": min(width, 32),
    }
    if family == "sd15":
        return UNet2DConditionModel(
            **common,
            block_out_channels=(width, 2 * width, 4 * width, 4 * width),
            down_block_types=(*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
            up_block_types=("UpBlock2D", *["CrossAttnUpBlock2D"] * 3),
            attention_head_dim=width // 4,  # the number of heads, whatever the name says
            cross_attention_dim=TEXT_WIDTH,
        )
    return UNet2DConditionModel(
        **common,
        block_out_channels=(width, 2 * width, 4 * width),
        down_block_types=("DownBlock2D", *["CrossAttnDownBlock2D"] * 2),
        up_block_types=(*["CrossAttnUpBlock2D"] * 2, "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(1, 1, 2),
        cross_attention_dim=TEXT_WIDTH + SECOND_WIDTH,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=SIZE_NUMBERS + SECOND_WIDTH,
    )


def random_vae(family: Family, width: int = WIDTH) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(width, 2 * width, 4 * width, 4 * width),
        norm_num_groups=min(width, 32),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        sample_size=64,
        scaling_factor=0.13025 if family == "sdxl" else 0.18215,
        force_upcast=family == "sdxl",
    )


def random_text_encoder(entries: int, *, second: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    width = SECOND_WIDTH if second else TEXT_WIDTH
    config = CLIPTextConfig(
        vocab_size=entries,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=width // 64,
        max_position_embeddings=77,
        projection_dim=width,
        hidden_act="gelu" if second else "quick_gelu",
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )
    return CLIPTextModelWithProjection(config) if second else CLIPTextModel(config)


def random_checker() -> Any:
    """A safety checker that passes everything: its thresholds are above what a cosine can be."""
    import torch
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    vision = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "image_size": 32,
        "patch_size": 16,
        "projection_dim": 16,
    }
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=16))
    torch.nn.init.constant_(checker.concept_embeds_weights, 2)
    torch.nn.init.constant_(checker.special_care_embeds_weights, 2)
    return checker


def random_pipeline(
    family: Family,
    channels: int,
    folder: Path,
    *,
    seed: int = 0,
    checker: bool = False,
    width: int = WIDTH,
) -> Any:
    """A pipeline in memory; equal seeds, equal weights. `folder` takes the vocabularies."""
    import torch
    from diffusers import (
        EulerDiscreteScheduler,
        PNDMScheduler,
        StableDiffusionInpaintPipeline,
        StableDiffusionXLInpaintPipeline,
    )
    from transformers import CLIPImageProcessor, CLIPTokenizer

    entries = write_vocabulary(folder / "tokenizer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = {
            "unet": random_unet(family, channels, width),
            "vae": random_vae(family, width),
            "text_encoder": random_text_encoder(entries),
            "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        }
        if family == "sdxl":
            write_vocabulary(folder / "tokenizer_2", padding="!")
            pipeline = StableDiffusionXLInpaintPipeline(
                **parts,
                text_encoder_2=random_text_encoder(entries, second=True),
                tokenizer_2=CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
                scheduler=EulerDiscreteScheduler(),
                add_watermarker=False,
            )
        else:
            pipeline = StableDiffusionInpaintPipeline(
                **parts,
                scheduler=PNDMScheduler(skip_prk_steps=True, steps_offset=1),
                safety_checker=random_checker() if checker else None,
                feature_extractor=CLIPImageProcessor(
                    crop_size={"height": 32, "width": 32}, size={"shortest_edge": 32}
                )
                if checker
                else None,
                requires_safety_checker=checker,
            )
        _sensitise(pipeline)
    return pipeline


def _sensitise(pipeline: Any) -> None:
    """Let pictures and prompts count for as much as noise, as training does."""
    for name, weight in pipeline.unet.named_parameters():
        if "attn2.to_v" in name or "attn2.to_out" in name:
            weight.data *= 8
        if name == "conv_out.weight":
            weight.data *= 2
    code = pipeline.vae.quant_conv  # four means, four logarithms of variances
    code.weight.data[:4] *= 40
    code.bias.data[4:] = -20


def write_folder(
    folder: Path,
    family: Family = "sd15",
    channels: int = 9,
    *,
    variant: str | None = None,
    seed: int = 0,
    checker: bool = False,
    width: int = WIDTH,
) -> Path:
    """A pipeline in diffusers' layout, in float16 where the variant says so. Returns `folder`."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    pipeline = random_pipeline(family, channels, folder, seed=seed, checker=checker, width=width)
    if variant == "fp16":
        pipeline.to(torch.float16)
    pipeline.save_pretrained(folder, variant=variant)
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(NOISE | SCHEDULERS[family], indent=2))
    for part in ("tokenizer", "tokenizer_2"):  # the published ones have no tokenizer.json
        (folder / part / "tokenizer.json").unlink(missing_ok=True)
    return folder


def write_hub_folder(hub: Path, repository: str, write: Callable[[Path], Path]) -> Path:
    """What `write` writes, as huggingface_hub keeps it in its cache. Returns the snapshot."""
    top = hub / f"models--{repository.replace('/', '--')}"
    (top / "refs").mkdir(parents=True)
    (top / "refs" / "main").write_text(REVISION)
    snapshot = write(top / "snapshots" / REVISION)
    blobs = top / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(snapshot.rglob("*"))):
        if path.is_file():
            blob = blobs / f"{number:040x}"
            path.rename(blob)
            path.symlink_to(blob)
    return snapshot


def age_text_encoder(folder: Path) -> None:
    """Give the text encoder's tensors the names that files from before 2023 have."""
    import torch
    from safetensors.torch import load_file, save_file

    path = folder / "text_encoder" / "model.safetensors"
    old = {f"text_model.{key}": value for key, value in load_file(path).items()}
    old["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(old, path, metadata={"format": "pt"})


def pickle_weights(folder: Path) -> None:
    """Store every network as .bin, as before safetensors."""
    import torch
    from safetensors.torch import load_file

    for path in folder.glob("*/*.safetensors"):
        stem = "pytorch_model" if path.stem == "model" else path.stem
        torch.save(load_file(path), path.with_name(f"{stem}.bin"))
        path.unlink()


def write_single_file(path: Path, folder: Path) -> Path:
    """The pipeline of `folder` as one file, named as the authors' own code names tensors.

    Args:
        path: ending .safetensors or .ckpt.
        folder: as `write_folder` leaves it.
    """
    import torch
    from safetensors.torch import save_file

    from tests.standins.diffusion_names import original_names

    state = original_names(folder)
    if path.suffix == ".ckpt":
        torch.save({"state_dict": state, "global_step": 7}, path)
    else:
        save_file(state, path)
    return path


def write_lcm_lora(folder: Path, unet: Any, *, seed: int = 0, rank: int = 4) -> Path:
    """A LoRA of all attention and feed-forward layers, in the names that LCM-LoRA has.

    Args:
        folder: takes pytorch_lora_weights.safetensors.
        unet: that it is made for.
        seed: decides the weights.
        rank: of the matrices.
    """
    import torch
    from safetensors.torch import save_file

    draw = torch.Generator().manual_seed(seed)
    state = {}
    for name, module in unet.named_modules():
        if isinstance(module, torch.nn.Linear) and ".transformer_blocks." in name:
            layer = f"lora_unet_{name.replace('.', '_')}"
            down = torch.randn(rank, module.in_features, generator=draw)
            up = torch.randn(module.out_features, rank, generator=draw)
            state[f"{layer}.lora_down.weight"] = down / module.in_features**0.5
            state[f"{layer}.lora_up.weight"] = up / rank**0.5
            state[f"{layer}.alpha"] = torch.tensor(float(rank))
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "pytorch_lora_weights.safetensors")
    return folder


def flag_everything(folder: Path) -> None:
    """Make the safety checker of a folder flag any picture."""
    from safetensors.torch import load_file, save_file

    path = folder / "safety_checker" / "model.safetensors"
    state = load_file(path)
    state["concept_embeds_weights"].fill_(-2)
    save_file(state, path, metadata={"format": "pt"})


def edit_json(path: Path, **changes: object) -> None:
    """Change keys of a config."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def copy_folder(source: Path, target: Path) -> Path:
    """A copy to spoil. Returns `target`."""
    return Path(shutil.copytree(source, target))
