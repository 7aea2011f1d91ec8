"""Stable Diffusion from every way in which it is stored, and from none of the others."""

import json
import shutil
import socket

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from inpaint.errors import WeightsCorruptError, WeightsMissingError
from tests.models.painting import difference, load, paint
from tests.standins.clip_vocabulary import write_vocabulary
from tests.standins.damage import DAMAGES, MakesFolder
from tests.standins.diffusion import (
    age_text_encoder,
    copy_folder,
    edit_json,
    pickle_weights,
    write_folder,
    write_hub_folder,
    write_single_file,
)
from tests.standins.ldm import write_ldm_torchscript

CHECKPOINTS = [("sd15", 9), ("sd15", 4), ("sdxl", 9), ("sdxl", 4)]
PARTS = {"sd15": ("unet", "vae", "text_encoder"), "sdxl": ("text_encoder_2",)}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Whoever asks the network for anything fails."""

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    write_vocabulary(folder)
    return folder


@pytest.fixture
def copied(tmp_path, diffusion_folder):
    return copy_folder(diffusion_folder("sd15", 9), tmp_path / "copied")


def weights_of(folder, part):
    [path] = (folder / part).glob("*.safetensors")
    return path


@pytest.mark.parametrize(("family", "channels"), CHECKPOINTS)
def test_folder_decides_pipeline_and_channels(diffusion_folder, family, channels):
    checkpoint = load(diffusion_folder(family, channels))._shared.checkpoint
    name = "StableDiffusionXLInpaintPipeline" if family == "sdxl" else "StableDiffusionInpaintPipe"
    assert checkpoint.pipeline_class.__name__.startswith(name)
    assert checkpoint.parts["unet"].config.in_channels == channels
    assert ("text_encoder_2" in checkpoint.parts) == (family == "sdxl")


@pytest.mark.parametrize(
    "name", ["StableDiffusionPipeline", "StableDiffusionXLPipeline", "LatentConsistencyModel"]
)
def test_name_of_the_pipeline_does_not_matter(copied, diffusion_folder, name):
    edit_json(copied / "model_index.json", _class_name=name)
    expected = paint(load(diffusion_folder("sd15", 9)))
    np.testing.assert_array_equal(paint(load(copied)), expected)


@pytest.mark.parametrize(("family", "channels"), CHECKPOINTS)
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_single_file_paints_what_its_folder_paints(
    diffusion_folder, diffusion_file, vocabulary, family, channels, suffix
):
    model = load(diffusion_file(family, channels, suffix), {"tokenizer": vocabulary})
    expected = paint(load(diffusion_folder(family, channels)))
    np.testing.assert_array_equal(paint(model), expected)


def test_single_file_is_known_by_its_content(diffusion_file, vocabulary, tmp_path):
    """A .ckpt that is safetensors inside, and the other way round."""
    for suffix, other in ((".safetensors", ".ckpt"), (".ckpt", ".safetensors")):
        renamed = shutil.copy(diffusion_file("sd15", 9, suffix), tmp_path / f"model{other}")
        load(renamed, {"tokenizer": vocabulary})


@pytest.mark.parametrize("where", ["own", "pipeline"])
def test_vocabulary_is_found_in_the_model_directory(diffusion_file, tmp_path, where):
    """IOPaint keeps single files and the hub's cache side by side."""
    hub = tmp_path / "huggingface" / "hub"
    if where == "own":
        snapshot = hub / "models--openai--clip-vit-large-patch14" / "snapshots" / "0"
        write_vocabulary(snapshot)
    else:
        snapshot = hub / "models--someone--anything" / "snapshots" / "0"
        write_vocabulary(snapshot / "tokenizer", padding="!")
    folder = tmp_path / "stable_diffusion"
    folder.mkdir()
    path = shutil.copy(diffusion_file("sdxl", 9), folder / "model.safetensors")
    parts = load(path)._shared.checkpoint.parts
    padded = {
        name: parts[name]("cat", padding="max_length").input_ids
        for name in ("tokenizer", "tokenizer_2")
    }
    cat, start, end, exclamation_mark = 513, 516, 517, 0
    assert padded["tokenizer"] == [start, cat, end, *[end] * 74]
    assert padded["tokenizer_2"] == [start, cat, end, *[exclamation_mark] * 74]


def test_missing_vocabulary_is_named(diffusion_file, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    with pytest.raises(WeightsMissingError, match="openai/clip-vit-large-patch14") as caught:
        load(diffusion_file("sd15", 9))
    assert str(tmp_path) not in caught.value.detail


def test_vocabulary_of_another_size_is_not_taken(diffusion_file, tmp_path):
    write_vocabulary(tmp_path)
    path = tmp_path / "vocab.json"
    edit_json(path, **{"more": 518})
    with pytest.raises(WeightsMissingError):
        load(diffusion_file("sd15", 9), {"tokenizer": tmp_path})


def test_folder_of_the_hubs_cache_is_read_through_its_links(tmp_path, diffusion_folder):
    snapshot = write_hub_folder(
        tmp_path, "someone/tiny", lambda path: write_folder(path, "sd15", 9)
    )
    assert (snapshot / "unet" / "config.json").is_symlink()
    expected = paint(load(diffusion_folder("sd15", 9)))
    np.testing.assert_array_equal(paint(load(snapshot)), expected)


@pytest.mark.parametrize("change", [age_text_encoder, pickle_weights], ids=lambda f: f.__name__)
def test_older_ways_of_storing_mean_the_same_picture(copied, diffusion_folder, change):
    change(copied)
    expected = paint(load(diffusion_folder("sd15", 9)))
    np.testing.assert_array_equal(paint(load(copied)), expected)


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_half_precision_files_are_read_where_they_are(diffusion_folder, family):
    folder = diffusion_folder(family, 9, variant="fp16")
    assert [path.name for path in (folder / "unet").glob("*.safetensors")] == [
        "diffusion_pytorch_model.fp16.safetensors"
    ]
    painted = paint(load(folder))
    assert 0 < difference(painted, paint(load(diffusion_folder(family, 9)))) < 3


def test_half_precision_files_come_before_the_full_ones_part_by_part(copied, diffusion_folder):
    """IOPaint's order. The unet exists both ways, and differs; the rest only in full."""
    half = diffusion_folder("sd15", 9, variant="fp16", seed=5)
    shutil.copy(weights_of(half, "unet"), copied / "unet")
    own = load_file(weights_of(half, "unet"))["conv_in.bias"].float()
    read = load(copied)._shared.checkpoint.parts["unet"].state_dict()["conv_in.bias"]
    assert torch.equal(read, own)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)],
)
@pytest.mark.parametrize("stored", ["folder", "file"])
@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_precision_is_that_of_every_network(
    diffusion_folder, diffusion_file, vocabulary, family, stored, precision, dtype
):
    path = diffusion_folder(family, 9) if stored == "folder" else diffusion_file(family, 9)
    parts = load(path, {"tokenizer": vocabulary}, precision=precision)._shared.checkpoint.parts
    dtypes = {
        tensor.dtype
        for part in parts.values()
        if isinstance(part, torch.nn.Module)
        for tensor in part.parameters()
    }
    assert dtypes == {dtype}


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_less_precision_gives_nearly_the_same_picture(diffusion_folder, family, precision):
    folder = diffusion_folder(family, 9)
    full = paint(load(folder), sd_guidance_scale=2.0)
    assert 0 < difference(full, paint(load(folder, precision=precision), sd_guidance_scale=2.0)) < 8


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_vae_adapter_takes_the_place_of_one_that_overflows(
    diffusion_folder, diffusion_file, precision
):
    """SDXL's own does so in float16 only."""
    other = diffusion_folder("sdxl", 4, seed=3)
    adapters = {"vae": other / "vae", "tokenizer": other / "tokenizer"}
    source = other if precision == "fp16" else diffusion_folder("sdxl", 9)
    wanted = load_file(weights_of(source, "vae"))["decoder.conv_out.bias"]
    for path in (diffusion_folder("sdxl", 9), diffusion_file("sdxl", 9)):
        vae = load(path, adapters, precision=precision)._shared.checkpoint.parts["vae"]
        assert torch.equal(vae.decoder.conv_out.bias, wanted.to(vae.dtype))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("part", PARTS["sd15"])
def test_damaged_part_of_a_folder_is_named(copied, part, damage):
    path = weights_of(copied, part)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(WeightsCorruptError) as caught:
        load(copied)
    assert caught.value.detail.startswith(f"{part}/{path.name} cannot be used")
    assert str(copied) not in caught.value.detail


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_damaged_file_is_named(diffusion_file, vocabulary, tmp_path, suffix, damage):
    path = tmp_path / f"spoilt{suffix}"
    path.write_bytes(DAMAGES[damage](diffusion_file("sd15", 9, suffix).read_bytes()))
    with pytest.raises(WeightsCorruptError, match=rf"^spoilt\{suffix} cannot be used"):
        load(path, {"tokenizer": vocabulary})


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_a_missing_tensor_is_no_random_one(tmp_path, diffusion_folder, family, part):
    folder = copy_folder(diffusion_folder(family, 9), tmp_path / "less")
    path = weights_of(folder, part)
    state = load_file(path)
    state.pop(sorted(state)[-1])
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(WeightsCorruptError, match=rf"^{part}/.*: 1 tensors are missing"):
        load(folder)


@pytest.mark.parametrize(
    "key",
    [
        "model.diffusion_model.out.2.bias",
        "model.diffusion_model.middle_block.1.proj_in.weight",
        "first_stage_model.decoder.mid.block_1.conv1.weight",
        "cond_stage_model.transformer.text_model.encoder.layers.1.mlp.fc2.bias",
    ],
)
@pytest.mark.parametrize("change", ["missing", "reshaped"])
def test_a_file_whose_tensors_do_not_fit_is_refused(
    diffusion_file, vocabulary, tmp_path, key, change
):
    state = load_file(diffusion_file("sd15", 9))
    value = state.pop(key)
    if change == "reshaped":
        state[key] = torch.cat([value, value])
    path = tmp_path / "model.safetensors"
    save_file(state, path)
    with pytest.raises(WeightsCorruptError, match=r"^model\.safetensors cannot be used"):
        load(path, {"tokenizer": vocabulary})


@pytest.mark.parametrize("prefix", ["model.diffusion_model", "first_stage_model", "cond_stage"])
def test_a_file_without_a_part_is_refused(diffusion_file, vocabulary, tmp_path, prefix):
    state = load_file(diffusion_file("sd15", 9))
    path = tmp_path / "model.safetensors"
    save_file({key: value for key, value in state.items() if not key.startswith(prefix)}, path)
    with pytest.raises(WeightsCorruptError, match="it holds no"):
        load(path, {"tokenizer": vocabulary})


def test_a_file_of_another_model_is_refused(tmp_path, vocabulary):
    [path, *_] = write_ldm_torchscript(tmp_path)
    with pytest.raises(WeightsCorruptError, match=path.name):
        load(path, {"tokenizer": vocabulary})


@pytest.mark.parametrize("channels", [5, 8])
def test_unet_for_another_task_is_refused(tmp_path, channels, vocabulary):
    folder = write_folder(tmp_path / "folder", "sd15", channels)
    file = write_single_file(tmp_path / "file.safetensors", folder)
    for path in (folder, file):
        with pytest.raises(WeightsCorruptError, match=f"takes {channels} channels"):
            load(path, {"tokenizer": vocabulary})


@pytest.mark.parametrize(
    ("part", "entry", "message"),
    [
        ("unet", None, "its unet is None, and must be UNet2DConditionModel"),
        ("vae", ["diffusers", "VQModel"], "its vae is VQModel"),
        ("text_encoder", ["transformers", "T5EncoderModel"], "its text_encoder is T5EncoderModel"),
        ("tokenizer", ["transformers", "T5Tokenizer"], "its tokenizer is T5Tokenizer"),
        ("unet", ["os", "system"], "its unet is system"),
    ],
)
def test_pipelines_of_other_parts_are_refused(copied, part, entry, message):
    edit_json(copied / "model_index.json", **{part: entry})
    with pytest.raises(WeightsCorruptError, match=message):
        load(copied)


@pytest.mark.parametrize("name", ["Nothing", "StableDiffusionPipeline", None])
def test_scheduler_must_be_one_of_diffusers(copied, name):
    edit_json(copied / "scheduler" / "scheduler_config.json", _class_name=name)
    with pytest.raises(WeightsCorruptError, match=r"scheduler_config\.json cannot be used"):
        load(copied)


@pytest.mark.parametrize(
    "path",
    [
        "model_index.json",
        "unet/config.json",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "tokenizer/vocab.json",
    ],
)
@pytest.mark.parametrize("content", [None, "[]", "{"])
def test_missing_and_broken_files_of_a_folder_are_corrupt(copied, path, content):
    (copied / path).unlink()
    if content is not None:
        (copied / path).write_text(content)
    with pytest.raises(WeightsCorruptError) as caught:
        load(copied)
    assert path.partition("/")[0] in caught.value.detail


def test_code_in_a_pickle_is_not_run(tmp_path, copied, diffusion_file, vocabulary):
    trap = tmp_path / "trap"
    ckpt = tmp_path / "bad.ckpt"
    state = torch.load(diffusion_file("sd15", 9, ".ckpt"), weights_only=True)
    torch.save(state | {"extra": MakesFolder(trap)}, ckpt)
    with pytest.raises(WeightsCorruptError, match=r"bad\.ckpt"):
        load(ckpt, {"tokenizer": vocabulary})
    for part, name in (
        ("unet", "diffusion_pytorch_model.bin"),
        ("vae", "diffusion_pytorch_model.bin"),
        ("text_encoder", "pytorch_model.bin"),
    ):
        path = weights_of(copied, part)
        tensors = load_file(path)
        path.unlink()
        torch.save(tensors | {"extra": MakesFolder(trap)}, copied / part / name)
        with pytest.raises(WeightsCorruptError, match=rf"{part}/{name}"):
            load(copied)
        torch.save(tensors, copied / part / name)
    assert not trap.exists()


def test_code_that_a_folder_brings_is_not_imported(copied):
    """diffusers would import what `auto_map`s and custom pipelines name."""
    (copied / "pipeline.py").write_text("raise AssertionError('imported')")
    (copied / "unet" / "evil.py").write_text("raise AssertionError('imported')")
    index = json.loads((copied / "model_index.json").read_text())
    index["_class_name"] = ["pipeline", "Evil"]
    (copied / "model_index.json").write_text(json.dumps(index))
    edit_json(copied / "unet" / "config.json", auto_map={"AutoModel": "evil.Evil"})
    paint(load(copied))


def test_standins_depend_on_the_seed_only(tmp_path, diffusion_folder):
    again = write_folder(tmp_path / "again", "sd15", 9)
    other = diffusion_folder("sd15", 9, seed=5)
    for folder, same in ((again, True), (other, False)):
        for part in ("unet", "vae", "text_encoder"):
            first, second = (
                weights_of(place, part).read_bytes()
                for place in (folder, diffusion_folder("sd15", 9))
            )
            assert (first == second) == same
