"""Adapters, and the shipped diffusion models that they complete."""

import pytest
import yaml
from pydantic import ValidationError

from inpaint.catalog import Catalog, CatalogError
from inpaint.params import DiffusionParams
from inpaint.resources import configs_dir
from inpaint.settings import FamilyArgs
from inpaint.specs import AdapterSpec, DiffusionFacts, Kind, ModelSpec
from serve_app.iopaint.models import ModelInfo
from tests.fakes import fake_spec

CATALOG = Catalog.read(configs_dir())
DIFFUSION = [spec for spec in CATALOG.models if spec.kind is Kind.DIFFUSION]
GUIDE = {
    "runwayml/stable-diffusion-inpainting": ("SD15", True),
    "Uminosachi/realisticVisionV51_v51VAE-inpainting": ("SD15", True),
    "redstonehero/dreamshaper-inpainting": ("SD15", True),
    "Sanster/anything-4.0-inpainting": ("SD15", True),
    "diffusers/stable-diffusion-xl-1.0-inpainting-0.1": ("SDXL", True),
    "RunDiffusion/Juggernaut-XI-v11": ("SDXL", False),
    "SG161222/RealVisXL_V5.0": ("SDXL", False),
    "eienmojiki/Anything-XL": ("SDXL", False),
}
"""IOPaint's names, their family, and whether they see nine channels."""


def test_the_guides_models_are_there():
    known = {spec.name: (spec.family, spec.diffusion.inpainting) for spec in DIFFUSION}
    assert known == GUIDE


@pytest.mark.parametrize("spec", DIFFUSION, ids=lambda spec: spec.name)
def test_a_shipped_diffusion_model_reads_every_parameter_and_fits_its_family(spec):
    assert spec.reads == spec.diffusion.reads
    assert set(spec.reads) <= DiffusionParams.model_fields.keys()
    assert spec.family == spec.diffusion.base.upper()
    assert (spec.size.multiple_of, spec.size.minimum) == (8, 512)
    assert spec.repository.repo_id == spec.name
    assert set(spec.aliases) == set(spec.repository.mirrors)


def facts(base, is_single_file=False):
    return DiffusionFacts(base=base, inpainting=True, is_single_file=is_single_file)


@pytest.mark.parametrize(
    ("base", "is_single_file", "names"),
    [
        ("sd15", False, {"latent-consistency/lcm-lora-sdv1-5"}),
        ("sd15", True, {"latent-consistency/lcm-lora-sdv1-5", "openai/clip-vit-large-patch14"}),
        ("sdxl", False, {"latent-consistency/lcm-lora-sdxl", "madebyollin/sdxl-vae-fp16-fix"}),
    ],
)
def test_adapters_go_to_the_checkpoints_that_they_fit(base, is_single_file, names):
    spec = fake_spec(kind="diffusion", diffusion=facts(base, is_single_file))
    assert {adapter.name for adapter in CATALOG.adapters_of(spec)} == names


def test_other_models_take_no_adapters():
    assert CATALOG.adapters_of(CATALOG.get("lama"), fake_spec(kind="diffusion")) == ()


def test_a_file_is_called_as_its_adapter():
    for path in (configs_dir() / "adapters").glob("*.yaml"):
        name = yaml.safe_load(path.read_text(encoding="utf-8"))["name"]
        assert name.replace("/", "--") == path.stem


def adapter(name):
    entry = {"name": name, "role": "vae", "bases": ["sdxl"], "licence": {"name": "MIT"},
             "memory_mb": 1}  # fmt: skip
    return AdapterSpec.model_validate(entry)


@pytest.mark.parametrize("names", [("a", "a"), ("toy", "b")])
def test_an_adapter_needs_a_name_of_its_own(names):
    with pytest.raises(CatalogError, match="adapter"):
        Catalog([fake_spec("toy")], map(adapter, names))


def test_diffusion_facts_on_another_kind_are_refused():
    with pytest.raises(ValidationError, match="kind 'diffusion'"):
        fake_spec(diffusion=facts("sd15"))


@pytest.mark.parametrize("kind", ["erase", "ocr"])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("low_mem", True),
        ("cpu_offload", False),
        ("cpu_textencoder", True),
        ("safety_checker", "off"),
    ],
)
def test_other_families_refuse_what_only_diffusion_takes_by_name(kind, option, value):
    entry = {"deployment": "Toys", "kind": kind, option: value}
    with pytest.raises(ValidationError, match=f"{option}: only for families of kind 'diffusion'"):
        FamilyArgs.model_validate(entry)
    assert getattr(FamilyArgs.model_validate(entry | {"kind": "diffusion"}), option) == value


@pytest.mark.parametrize(
    ("base", "inpainting", "model_type"),
    [
        ("sd15", False, "diffusers_sd"),
        ("sd15", True, "diffusers_sd_inpaint"),
        ("sdxl", False, "diffusers_sdxl"),
        ("sdxl", True, "diffusers_sdxl_inpaint"),
    ],
)
def test_iopaints_page_is_told_the_kind_of_checkpoint(base, inpainting, model_type):
    spec = CATALOG.get("SG161222/RealVisXL_V5.0").model_copy(
        update={"diffusion": DiffusionFacts(base=base, inpainting=inpainting, is_single_file=True)}
    )
    assert ModelInfo.of(spec).model_dump() == {
        "name": spec.name,
        "path": spec.name,
        "model_type": model_type,
        "is_single_file_diffusers": True,
        "need_prompt": True,
        "controlnets": (),
        "brushnets": (),
        "support_strength": True,
        "support_outpainting": True,
        "support_lcm_lora": True,
        "support_controlnet": False,
        "support_brushnet": False,
        "support_powerpaint_v2": False,
    }


def test_iopaints_page_is_told_that_others_want_no_prompt():
    info = ModelInfo.of(ModelSpec.model_validate(CATALOG.get("lama").model_dump()))
    assert (info.model_type, info.need_prompt, info.support_lcm_lora) == ("inpaint", False, False)
