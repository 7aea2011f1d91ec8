"""Models that lie in IOPaint's folders without a YAML file."""

import logging

import pytest

from deployments.weights import WeightsStore, discover, with_discovered
from inpaint.catalog import Catalog
from inpaint.errors import WeightsMissingError
from inpaint.resources import configs_dir
from inpaint.settings import FamilyArgs
from inpaint.specs import Kind
from inpaint.states import ModelState
from serve_app.routing import assign
from tests.checkpoint_heads import (
    pickled,
    pipeline_files,
    sd2_shapes,
    sd15_shapes,
    sdxl_shapes,
    state_dict,
    write_ckpt,
    write_files,
    write_repository,
    write_safetensors,
)

CATALOG = Catalog.read(configs_dir())
HUB = "huggingface/hub"


@pytest.fixture(autouse=True)
def packages(monkeypatch):
    """Whether the extra is installed is no matter here."""
    monkeypatch.setattr("deployments.weights.store.is_extra_installed", lambda extra: True)


def found_in(folder):
    discovery = discover(folder, CATALOG)
    models = {spec.name: spec for spec in discovery.models}
    return models, {str(entry.path): entry.reason for entry in discovery.unusable}


def test_an_empty_or_missing_model_directory_holds_nothing(tmp_path):
    assert found_in(tmp_path) == ({}, {})
    assert found_in(tmp_path / "nowhere") == ({}, {})


def test_files_are_called_by_their_names_and_told_by_their_content(tmp_path):
    write_safetensors(tmp_path / "stable_diffusion/a (v1).safetensors", sd15_shapes(9))
    write_ckpt(tmp_path / "stable_diffusion/inpaint.ckpt", pickled(state_dict(sd15_shapes(4))))
    write_safetensors(tmp_path / "stable_diffusion_xl/b.safetensors", sdxl_shapes(4))
    write_safetensors(tmp_path / "stable_diffusion/lies-here.safetensors", sdxl_shapes(9))
    (tmp_path / "stable_diffusion/iopaint_cache.json").write_text("{}")
    models, unusable = found_in(tmp_path)
    assert unusable == {}
    told = {
        name: (spec.family, spec.diffusion.base, spec.diffusion.inpainting, str(spec.path))
        for name, spec in models.items()
    }
    assert told == {
        "a (v1).safetensors": ("SD15", "sd15", True, "stable_diffusion/a (v1).safetensors"),
        "inpaint.ckpt": ("SD15", "sd15", False, "stable_diffusion/inpaint.ckpt"),
        "lies-here.safetensors": ("SDXL", "sdxl", True, "stable_diffusion/lies-here.safetensors"),
        "b.safetensors": ("SDXL", "sdxl", False, "stable_diffusion_xl/b.safetensors"),
    }
    for spec in models.values():
        assert (spec.kind, spec.licence.commercial_use) == (Kind.DIFFUSION, None)


def test_what_is_found_takes_what_the_catalogued_models_of_its_base_take(tmp_path):
    write_safetensors(tmp_path / "stable_diffusion/a.safetensors", sd15_shapes(9))
    write_safetensors(tmp_path / "stable_diffusion/b.safetensors", sdxl_shapes(9))
    models, _ = found_in(tmp_path)
    names = ("runwayml/stable-diffusion-inpainting",
             "diffusers/stable-diffusion-xl-1.0-inpainting-0.1")  # fmt: skip
    same = ("family", "kind", "runner", "extra", "size", "max_pixels", "precisions", "reads",
            "memory_mb")  # fmt: skip
    for found, shipped in zip(models.values(), map(CATALOG.get, names), strict=True):
        assert {f: getattr(found, f) for f in same} == {f: getattr(shipped, f) for f in same}


def test_repositories_are_told_by_their_unet_and_not_by_what_they_call_themselves(tmp_path):
    plain = "StableDiffusionPipeline"
    hub = tmp_path / HUB
    write_repository(hub / "models--a--plain", pipeline_files(plain, channels=4))
    write_repository(hub / "models--b--inpaint", pipeline_files(plain, channels=9))
    xl = pipeline_files("StableDiffusionXLInpaintPipeline", 9, text_width=2048)
    write_repository(hub / "models--c--xl", xl)
    models, unusable = found_in(tmp_path)
    assert unusable == {}
    told = {name: (spec.diffusion.base, spec.diffusion.inpainting) for name, spec in models.items()}
    assert told == {
        "a/plain": ("sd15", False),
        "b/inpaint": ("sd15", True),
        "c/xl": ("sdxl", True),
    }


def test_a_repository_with_only_the_branch_fp16_is_found(tmp_path):
    write_repository(tmp_path / HUB / "models--a--old", pipeline_files(), revision="fp16")
    models, _ = found_in(tmp_path)
    assert models["a/old"].repository.revision == "fp16"
    [snapshot] = WeightsStore(tmp_path).verified(models["a/old"])
    assert (snapshot / "model_index.json").is_file()


def test_a_folder_in_diffusers_layout_beside_the_files_is_found(tmp_path):
    write_files(tmp_path / "stable_diffusion/converted", pipeline_files())
    models, _ = found_in(tmp_path)
    assert WeightsStore(tmp_path).verified(models["converted"]) == [
        tmp_path / "stable_diffusion/converted"
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"pytorch_lora_weights.safetensors": b"0"},
        {"config.json": b"{}", "diffusion_pytorch_model.safetensors": b"0"},
        {"config.json": b"{}", "diffusion_pytorch_model.fp16.safetensors": b"0"},
        {"Net/config.json": b"{}", "Net/diffusion_pytorch_model.safetensors": b"0"},
        {"model_index.json": b'{"_class_name": "AnyText"}', "font.otf": b"0"},
        pipeline_files("PaintByExamplePipeline"),
        pipeline_files("StableDiffusionInstructPix2PixPipeline", channels=8),
        pipeline_files("StableDiffusionXLImg2ImgPipeline"),
    ],
    ids=[
        "lora",
        "controlnet",
        "half-controlnet",
        "powerpaint-v2",
        "anytext",
        "paint-by-example",
        "pix2pix",
        "refiner",
    ],
)
def test_repositories_of_other_things_are_passed_over(tmp_path, files):
    write_repository(tmp_path / HUB / "models--a--other", files)
    write_repository(tmp_path / HUB / "models--Sanster--PowerPaint-V1", pipeline_files())
    assert found_in(tmp_path) == ({}, {})


def missing(name):
    return {key: value for key, value in pipeline_files().items() if key != name}


@pytest.mark.parametrize(
    ("files", "word"),
    [
        (pipeline_files(text_width=1024), "Stable Diffusion 2"),
        (pipeline_files(channels=8), "8 channels"),
        (missing("unet/config.json"), "unet/config.json is missing"),
        (missing("vae/diffusion_pytorch_model.safetensors"), "parts of it are missing"),
        (pipeline_files() | {"unet/config.json": b"{"}, "not JSON"),
        (pipeline_files() | {"unet/config.json": b"[]"}, "no object"),
        (pipeline_files() | {"model_index.json": b"\xff"}, "not JSON"),
    ],
)
def test_pipelines_that_cannot_be_served_say_why(tmp_path, files, word):
    write_repository(tmp_path / HUB / "models--a--b", files)
    models, unusable = found_in(tmp_path)
    assert models == {}
    assert word in unusable[f"{HUB}/models--a--b"]


def test_one_bad_file_does_not_hide_the_others(tmp_path, caplog):
    folder = tmp_path / "stable_diffusion"
    write_safetensors(folder / "good.safetensors", sd15_shapes(9))
    write_safetensors(folder / "two.safetensors", sd2_shapes())
    write_safetensors(folder / "größe.safetensors", sd15_shapes(9))
    (folder / "text.ckpt").write_text("no checkpoint")
    (folder / "gone.ckpt").symlink_to(folder / "nowhere")
    (folder / "folder.ckpt").mkdir()
    with caplog.at_level(logging.WARNING, "ray.serve"):
        catalog = with_discovered(CATALOG, tmp_path)
    assert {spec.name for spec in catalog.models} - {spec.name for spec in CATALOG.models} == {
        "good.safetensors"
    }
    for name, word in {
        "two.safetensors": "Stable Diffusion 2",
        "größe.safetensors": "ASCII",
        "text.ckpt": "neither",
        "gone.ckpt": "cannot be read",
    }.items():
        [line] = [line for line in caplog.messages if name in line]
        assert word in line


def test_of_one_name_there_is_one_model(tmp_path):
    write_safetensors(tmp_path / "stable_diffusion/same.safetensors", sd15_shapes(9))
    write_safetensors(tmp_path / "stable_diffusion_xl/same.safetensors", sdxl_shapes(9))
    write_files(tmp_path / "stable_diffusion/lama", pipeline_files())
    models, unusable = found_in(tmp_path)
    assert list(models) == ["same.safetensors"]
    assert models["same.safetensors"].family == "SD15"
    assert set(unusable) == {"stable_diffusion_xl/same.safetensors", "stable_diffusion/lama"}
    assert all("rename" in reason for reason in unusable.values())


def test_catalogued_repositories_and_their_mirrors_are_not_found_again(tmp_path):
    hub = tmp_path / HUB
    for folder in ("models--botp--stable-diffusion-v1-5-inpainting",
                   "models--SG161222--RealVisXL_V5.0"):  # fmt: skip
        write_repository(hub / folder, missing("vae/config.json"))  # not even whole
    assert found_in(tmp_path) == ({}, {})


def test_catalogued_checkpoints_of_their_own_and_adapters_are_not_found_again(tmp_path):
    hub = tmp_path / HUB
    plain = pipeline_files("StableDiffusionPipeline", channels=4)
    for folder in ("models--Sanster--PowerPaint-V1-stable-diffusion-inpainting",
                   "models--Sanster--AnyText", "models--Fantasy-Studio--Paint-by-Example",
                   "models--lllyasviel--control_v11p_sd15_canny"):  # fmt: skip
        write_repository(hub / folder, plain)
    assert found_in(tmp_path) == ({}, {})


def test_a_mirror_on_disk_serves_the_deleted_repository(tmp_path):
    mirror = tmp_path / HUB / "models--botp--stable-diffusion-v1-5-inpainting"
    write_repository(mirror, pipeline_files())
    store = WeightsStore(tmp_path)
    spec = CATALOG.get("runwayml/stable-diffusion-inpainting")
    assert store.state(spec) is ModelState.DOWNLOADED
    assert CATALOG.get("botp/stable-diffusion-v1-5-inpainting") is spec


def test_what_is_found_belongs_to_the_family_of_its_base(tmp_path):
    write_safetensors(tmp_path / "stable_diffusion/a.safetensors", sd15_shapes(9))
    catalog = with_discovered(CATALOG, tmp_path)
    families = [FamilyArgs(deployment=name, kind=Kind.DIFFUSION) for name in ("SD15", "SDXL")]
    assigned = assign(catalog, families)
    assert "a.safetensors" in [spec.name for spec in assigned["SD15"]]
    assert "a.safetensors" not in [spec.name for spec in assigned["SDXL"]]


def test_a_file_that_is_taken_away_is_missing(tmp_path):
    path = tmp_path / "stable_diffusion/a.safetensors"
    write_safetensors(path, sd15_shapes(9))
    spec = found_in(tmp_path)[0]["a.safetensors"]
    store = WeightsStore(tmp_path)
    assert store.verified(spec) == [path]
    assert store.size_on_disk(spec) == path.stat().st_size
    path.unlink()
    assert store.state(spec) is ModelState.MISSING
    with pytest.raises(WeightsMissingError, match=r"a\.safetensors is no longer") as caught:
        store.verified(spec)
    assert str(tmp_path) not in caught.value.detail
