"""Adapters, and the shipped diffusion models that they complete."""

import pytest
import yaml
from pydantic import ValidationError

from inpaint.adapters import asked_for
from inpaint.catalog import Catalog, CatalogError
from inpaint.params import DiffusionParams
from inpaint.resources import configs_dir
from inpaint.settings import FamilyArgs, IOPaintArgs
from inpaint.specs import AdapterSpec, DiffusionFacts, Kind, ModelSpec
from serve_app.iopaint.models import ModelInfo, ServerConfig
from tests.fakes import fake_spec

CATALOG = Catalog.read(configs_dir())
DIFFUSION = [spec for spec in CATALOG.models if spec.kind is Kind.DIFFUSION and spec.diffusion]
SPECIAL = {spec.name: spec for spec in CATALOG.select("Special", None)}
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


COMMON = {"sd_steps", "sd_guidance_scale", "seed"}
SPECIAL_READS = {
    "Fantasy-Studio/Paint-by-Example": COMMON | {"sd_sampler", "paint_by_example_example_image"},
    "powerpaint": COMMON
    | {"prompt", "negative_prompt", "sd_strength", "sd_sampler", "powerpaint_task",
       "fitting_degree"},
    "anytext": COMMON | {"prompt", "negative_prompt", "sd_strength"},
}  # fmt: skip

IOPAINTS_CONTROLNETS = {
    "sd15": (
        "lllyasviel/control_v11p_sd15_canny",
        "lllyasviel/control_v11p_sd15_openpose",
        "lllyasviel/control_v11p_sd15_inpaint",
        "lllyasviel/control_v11f1p_sd15_depth",
    ),
    "sdxl": (
        "thibaud/controlnet-openpose-sdxl-1.0",
        "destitech/controlnet-inpaint-dreamer-sdxl",
        "diffusers/controlnet-canny-sdxl-1.0",
        "diffusers/controlnet-canny-sdxl-1.0-mid",
        "diffusers/controlnet-canny-sdxl-1.0-small",
        "diffusers/controlnet-depth-sdxl-1.0",
        "diffusers/controlnet-depth-sdxl-1.0-mid",
        "diffusers/controlnet-depth-sdxl-1.0-small",
    ),
}
IOPAINTS_BRUSHNETS = {
    "sd15": ("Sanster/brushnet_random_mask", "Sanster/brushnet_segmentation_mask"),
    "sdxl": ("Regulus0725/random_mask_brushnet_ckpt_sdxl_regulus_v1",),
}
"""In the order of iopaint/const.py: the first is what the page begins with."""


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


def test_checkpoints_of_their_own_say_what_they_read():
    assert {name: set(spec.reads) for name, spec in SPECIAL.items()} == SPECIAL_READS
    for spec in SPECIAL.values():
        assert spec.kind is Kind.DIFFUSION
        assert spec.diffusion is None
        assert spec.max_pixels == DIFFUSION[0].max_pixels
        assert spec.precisions == DIFFUSION[0].precisions
        read = set(spec.reads) - {"paint_by_example_example_image"}
        assert read <= DiffusionParams.model_fields.keys()


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("Fantasy-Studio/Paint-by-Example", (8, 512)),
        ("powerpaint", (8, 512)),
        ("anytext", (64, 0)),
    ],
)
def test_checkpoints_of_their_own_are_padded_as_by_iopaint(name, size):
    assert (SPECIAL[name].size.multiple_of, SPECIAL[name].size.minimum) == size


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("Sanster/PowerPaint-V1-stable-diffusion-inpainting", "powerpaint"),
        ("Sanster/AnyText", "anytext"),
    ],
)
def test_iopaints_names_of_checkpoints_are_known(alias, name):
    assert CATALOG.get(alias) is SPECIAL[name]
    assert SPECIAL[name].repository.repo_id == alias


def facts(base, is_single_file=False, inpainting=True):
    return DiffusionFacts(base=base, inpainting=inpainting, is_single_file=is_single_file)


def painter(base, **options):
    return fake_spec(kind="diffusion", diffusion=facts(base, **options))


def names_of(spec, *roles):
    """Names of the adapters of a model, in the catalog's order, whose role begins with one."""
    fitting = CATALOG.adapters_of(spec)
    return tuple(adapter.name for adapter in fitting if adapter.role.startswith(roles))


COMPLETIONS = ("lcm-lora", "vae", "tokenizer")


@pytest.mark.parametrize(
    ("base", "is_single_file", "names"),
    [
        ("sd15", False, {"latent-consistency/lcm-lora-sdv1-5"}),
        ("sd15", True, {"latent-consistency/lcm-lora-sdv1-5", "openai/clip-vit-large-patch14"}),
        ("sdxl", False, {"latent-consistency/lcm-lora-sdxl", "madebyollin/sdxl-vae-fp16-fix"}),
    ],
)
def test_adapters_go_to_the_checkpoints_that_they_fit(base, is_single_file, names):
    spec = painter(base, is_single_file=is_single_file)
    assert set(names_of(spec, *COMPLETIONS)) == names


@pytest.mark.parametrize("inpainting", [True, False])
@pytest.mark.parametrize("base", ["sd15", "sdxl"])
def test_control_and_brush_networks_are_iopaints_in_its_order(base, inpainting):
    spec = painter(base, inpainting=inpainting)
    assert names_of(spec, "controlnet-") == IOPAINTS_CONTROLNETS[base]
    assert names_of(spec, "brushnet") == (() if inpainting else IOPAINTS_BRUSHNETS[base])
    has_v2 = base == "sd15" and not inpainting
    assert names_of(spec, "powerpaint-v2") == (("Sanster/PowerPaint_v2",) if has_v2 else ())
    assert names_of(spec, "depth-estimator") == ("Intel/dpt-hybrid-midas",)


def test_the_role_of_a_controlnet_is_what_iopaint_reads_from_its_name():
    for adapter in CATALOG.adapters:
        kind = adapter.role.removeprefix("controlnet-")
        if kind != adapter.role:
            found = [word for word in ("canny", "openpose", "depth", "inpaint")
                     if word in adapter.name]  # fmt: skip
            assert found == [kind], adapter.name


@pytest.mark.parametrize(
    "params",
    [
        {"enable_controlnet": True},
        {"enable_controlnet": True, "controlnet_method": "lllyasviel/control_v11p_sd15_canny"},
    ],
)
def test_a_request_that_names_no_controlnet_gets_iopaints_first(params):
    fitting = CATALOG.adapters_of(painter("sd15"))
    chosen = asked_for(DiffusionParams(**params), fitting)
    assert {role: adapter.name for role, adapter in chosen.items()} == {
        "controlnet-canny": "lllyasviel/control_v11p_sd15_canny"
    }


def test_a_controlnet_of_depth_brings_its_estimator():
    fitting = CATALOG.adapters_of(painter("sdxl"))
    asked = DiffusionParams(
        enable_controlnet=True, controlnet_method="diffusers/controlnet-depth-sdxl-1.0-small"
    )
    assert asked_for(asked, fitting).keys() == {"controlnet-depth", "depth-estimator"}


def test_other_models_take_no_adapters():
    assert CATALOG.adapters_of(CATALOG.get("lama"), fake_spec(kind="diffusion")) == ()
    assert CATALOG.adapters_of(SPECIAL["powerpaint"]) == ()


def test_an_adapter_can_name_models_that_have_no_facts():
    assert names_of(SPECIAL["anytext"], "") == ("openai/clip-vit-large-patch14",)
    own = adapter("own", models=("toy",))
    assert own.fits(fake_spec("toy", kind="diffusion"))
    assert not own.fits(fake_spec("other", kind="diffusion"))


def test_the_catalog_orders_adapters_by_place_and_then_as_they_were_given():
    given = [adapter("c", place=2), adapter("b"), adapter("a"), adapter("d", place=1)]
    assert [one.name for one in Catalog([], given).adapters] == ["d", "c", "b", "a"]


def test_a_users_adapters_lie_below_the_models_and_come_after_the_shipped(tmp_path):
    entry = {"name": "a/mine", "role": "controlnet-canny", "bases": ["sd15"], "memory_mb": 1,
             "licence": {"name": "MIT"}, "repository": {"repo_id": "a/mine"}}  # fmt: skip
    (tmp_path / "adapters").mkdir()
    (tmp_path / "adapters" / "mine.yaml").write_text(yaml.safe_dump(entry))
    catalog = Catalog.read(configs_dir(), [tmp_path])
    info = ModelInfo.of(painter("sd15"), catalog.adapters_of(painter("sd15")))
    assert info.controlnets == (*IOPAINTS_CONTROLNETS["sd15"], "a/mine")
    (tmp_path / "adapters" / "mine.yaml").write_text("name: a/mine")
    with pytest.raises(CatalogError, match=r"mine\.yaml"):
        Catalog.read(configs_dir(), [tmp_path])


@pytest.mark.parametrize("spec", CATALOG.adapters, ids=lambda spec: spec.name)
def test_a_shipped_adapter_says_what_it_is(spec):
    assert spec.repository.repo_id == spec.name
    assert spec.repository.allow_patterns or spec.role == "vae"
    assert spec.licence.note
    assert (spec.licence.name == "unknown") <= (spec.licence.commercial_use is None)
    assert (spec.memory_mb > 0) == (spec.role != "tokenizer")


def test_a_file_is_called_as_its_adapter():
    for path in (configs_dir() / "adapters").glob("*.yaml"):
        name = yaml.safe_load(path.read_text(encoding="utf-8"))["name"]
        assert name.replace("/", "--") == path.stem


def adapter(name, **more):
    entry = {"name": name, "role": "vae", "bases": ["sdxl"], "licence": {"name": "MIT"},
             "memory_mb": 1}  # fmt: skip
    return AdapterSpec.model_validate(entry | more)


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


def info_of(spec):
    return ModelInfo.of(spec, CATALOG.adapters_of(spec))


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
    spec = painter(base, inpainting=inpainting, is_single_file=True)
    assert info_of(spec).model_dump() == {
        "name": spec.name,
        "path": spec.name,
        "model_type": model_type,
        "is_single_file_diffusers": True,
        "need_prompt": True,
        "controlnets": IOPAINTS_CONTROLNETS[base],
        "brushnets": () if inpainting else IOPAINTS_BRUSHNETS[base],
        "support_strength": True,
        "support_outpainting": True,
        "support_lcm_lora": True,
        "support_controlnet": True,
        "support_brushnet": not inpainting,
        "support_powerpaint_v2": base == "sd15" and not inpainting,
    }


def test_iopaints_page_is_told_that_others_want_no_prompt():
    info = info_of(ModelSpec.model_validate(CATALOG.get("lama").model_dump()))
    assert (info.model_type, info.need_prompt, info.support_lcm_lora) == ("inpaint", False, False)


@pytest.mark.parametrize(
    ("name", "iopaints_name", "can"),
    [
        ("Fantasy-Studio/Paint-by-Example", "Fantasy-Studio/Paint-by-Example", set()),
        (
            "powerpaint",
            "Sanster/PowerPaint-V1-stable-diffusion-inpainting",
            {"need_prompt", "support_strength", "support_outpainting"},
        ),
        ("anytext", "Sanster/AnyText", {"need_prompt", "support_strength"}),
    ],
)
def test_iopaints_page_is_told_of_checkpoints_of_their_own_as_iopaint_does(
    name, iopaints_name, can
):
    told = info_of(SPECIAL[name]).model_dump()
    assert (told["name"], told["path"]) == (iopaints_name, iopaints_name)
    assert told["model_type"] == "diffusers_other"
    flags = {key for key in told if key.startswith(("need_", "support_"))}
    assert {key for key in flags if told[key]} == can


def test_without_adapters_nothing_is_offered_that_needs_one():
    info = ModelInfo.of(painter("sd15", inpainting=False), ())
    assert not any((info.support_controlnet, info.support_brushnet, info.support_powerpaint_v2))


@pytest.mark.parametrize(
    ("args", "default", "expected"),
    [
        ({}, "lama", (False, None)),
        ({}, "SG161222/RealVisXL_V5.0", (False, IOPAINTS_CONTROLNETS["sdxl"][0])),
        ({"enable_controlnet": True}, "runwayml/stable-diffusion-inpainting",
         (True, IOPAINTS_CONTROLNETS["sd15"][0])),
        ({"controlnet_method": "org/net"}, "lama", (False, "org/net")),
    ],
)  # fmt: skip
def test_the_page_begins_with_the_controlnet_of_the_command_line_or_the_models_first(
    args, default, expected
):
    infos = [info_of(spec) for spec in CATALOG.models]
    config = ServerConfig.of(infos, info_of(CATALOG.get(default)), IOPaintArgs(**args), (), False)
    assert (config.enableControlnet, config.controlnetMethod) == expected
    assert config.modelInfos == tuple(infos)
