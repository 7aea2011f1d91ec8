"""Reading AnyText's checkpoint: every published tensor has its place, and no other is taken."""

import shutil
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from deployments.models import any_text_glyphs
from deployments.models.any_text import AnyText
from deployments.models.any_text_files import NOT_READ, networks_of, read_any_text
from deployments.models.any_text_glyphs import FONT
from deployments.models.stable_diffusion_parts import Plan
from deployments.runners import load_runner
from deployments.weights.layout import HUB
from deployments.weights.store import WeightsStore
from inpaint.catalog import Catalog
from inpaint.diffusion import NO_ADAPTERS
from inpaint.errors import WeightsCorruptError, WeightsMissingError
from inpaint.protocols import LoadOptions
from inpaint.resources import configs_dir
from tests.standins.any_text import FILE, published_shapes, write_any_text
from tests.standins.clip_vocabulary import write_vocabulary
from tests.standins.damage import DAMAGES
from tests.standins.diffusion import write_hub_folder

PLAN = Plan.of("fp16", LoadOptions(), NO_ADAPTERS)


@pytest.fixture
def folder(any_text_folder, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(any_text_folder, tmp_path / "anytext")


def change(folder, edit):
    """Rewrite the tensors' file after `edit` has changed them in place."""
    state = load_file(folder / FILE)
    edit(state)
    save_file(state, folder / FILE)


def test_published_tensors_are_all_used_or_named_as_not_read():
    """At their own sizes: names and shapes without numbers, but where those are copied."""
    state = {
        key: torch.empty(shape, device="cpu" if is_small(key) else "meta")
        for key, shape in published_shapes().items()
    }
    networks = networks_of(state, Path(FILE), PLAN)
    read = sum(len(network.state_dict()) for network in networks.values())
    ignored = [key for key in state if NOT_READ.fullmatch(key)]
    assert read + len(ignored) == len(state) == 1731
    assert len(ignored) == 13 + 2
    sizes = {
        name: sum(weight.numel() for weight in network.parameters())
        for name, network in networks.items()
    }
    assert sizes["unet"] == 859_520_964  # Stable Diffusion 1.5's
    assert sizes["vae"] == 83_653_863
    assert sizes["text_encoder"] == 123_060_480
    published = sum(
        prod(shape) for key, shape in published_shapes().items() if key.startswith("control_model.")
    )
    assert sizes["control"] + sizes["hint"] == published


def is_small(key):
    return key.startswith(("text_predictor.", "embedding_manager."))


@pytest.mark.parametrize(
    "key",
    [
        "model.diffusion_model.input_blocks.1.0.in_layers.0.weight",
        "first_stage_model.decoder.mid.attn_1.q.weight",
        "cond_stage_model.transformer.text_model.final_layer_norm.bias",
        "control_model.zero_convs.3.0.weight",
        "control_model.glyph_block.8.bias",
        "control_model.fuse_block.weight",
        "embedding_manager.proj.weight",
        "text_predictor.backbone.block_list.11._se.conv1.weight",
        "text_predictor.neck.encoder.svtr_block.1.mixer.qkv.bias",
    ],
)
def test_a_missing_or_misshapen_tensor_is_refused(folder, key):
    change(folder, lambda state: state.update({key: torch.zeros(3, 5)}))
    with pytest.raises(WeightsCorruptError, match=f"^{FILE} cannot be used"):
        read_any_text(folder, PLAN)
    change(folder, lambda state: state.pop(key))
    with pytest.raises(WeightsCorruptError, match=f"^{FILE} cannot be used"):
        read_any_text(folder, PLAN)


@pytest.mark.parametrize(
    "key",
    [
        "somebody.elses.weight",
        "model.diffusion_model.label_emb.0.0.weight",
        "control_model.input_hint_block.0.weight",
        "first_stage_model.loss.logvar",
        "text_predictor.neck.encoder.conv5.conv.weight",
        "embedding_manager.position_encoder.conv1.weight",
    ],
)
def test_an_unknown_tensor_is_refused(folder, key):
    change(folder, lambda state: state.update({key: torch.zeros(4, 4)}))
    with pytest.raises(WeightsCorruptError, match=f"^{FILE} cannot be used"):
        read_any_text(folder, PLAN)


def test_what_is_not_read_may_be_there_or_not(folder):
    def edit(state):
        for key in [key for key in state if NOT_READ.fullmatch(key)]:
            del state[key]
        positions = "cond_stage_model.transformer.text_model.embeddings.position_ids"
        state[positions] = torch.arange(77)[None]

    change(folder, edit)
    assert read_any_text(folder, PLAN).unet.config.cross_attention_dim == 64


@pytest.mark.parametrize("name", ["pytorch_model.safetensors", "anytext_v1.1.ckpt"])
def test_other_published_files_hold_the_same(any_text_folder, folder, name):
    state = load_file(folder / FILE)
    (folder / FILE).unlink()
    if name.endswith(".ckpt"):
        torch.save({"state_dict": state}, folder / name)
    else:
        save_file(state, folder / name)
    read, usual = read_any_text(folder, PLAN), read_any_text(any_text_folder, PLAN)
    weight = "controlnet_mid_block.weight"
    torch.testing.assert_close(
        read.control.state_dict()[weight], usual.control.state_dict()[weight]
    )


def test_the_file_itself_can_be_named(folder):
    assert read_any_text(folder / FILE, PLAN).font.getname()[0]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused(folder, damage):
    (folder / FILE).write_bytes(DAMAGES[damage]((folder / FILE).read_bytes()))
    with pytest.raises(WeightsCorruptError, match=f"^{FILE} cannot be used"):
        read_any_text(folder, PLAN)


def test_a_folder_without_weights_is_missing_them(folder):
    (folder / FILE).unlink()
    with pytest.raises(WeightsMissingError, match=FILE):
        read_any_text(folder, PLAN)


def test_fonts_are_asked_for_by_name(folder, monkeypatch):
    monkeypatch.setattr(any_text_glyphs, "OTHER_FONTS", ())
    (folder / FONT).unlink()
    with pytest.raises(WeightsMissingError, match=FONT):
        read_any_text(folder, PLAN)


def test_vocabulary_comes_from_the_adapter_or_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    folder = write_any_text(tmp_path / "bare", vocabulary=False)
    with pytest.raises(WeightsMissingError, match="openai/clip-vit-large-patch14"):
        read_any_text(folder, PLAN)
    write_vocabulary(tmp_path / "vocabulary")
    plan = Plan.of("fp16", LoadOptions(), {"tokenizer": tmp_path / "vocabulary"})
    tokenizer = read_any_text(folder, plan).tokenizer
    np.testing.assert_array_equal(
        tokenizer(["*"]).input_ids, read_any_text_of(tmp_path / "full").tokenizer(["*"]).input_ids
    )


def test_the_catalogs_entry_is_found_where_the_hub_keeps_it(tmp_path):
    catalog = Catalog.read(configs_dir())
    spec = catalog.get("Sanster/AnyText")
    write_hub_folder(tmp_path / HUB, "Sanster/AnyText", partial(write_any_text, vocabulary=False))
    [tokenizer] = catalog.adapters_of(spec)
    vocabulary = write_hub_folder(tmp_path / HUB, tokenizer.repository.repo_id, hub_vocabulary)
    [path] = WeightsStore(tmp_path).verified(spec)
    runner = load_runner(spec).load(spec, [path], LoadOptions(), {tokenizer.role: vocabulary})
    assert isinstance(runner, AnyText)
    assert tokenizer.role == "tokenizer"


def hub_vocabulary(folder):
    write_vocabulary(folder)
    return folder


def read_any_text_of(folder):
    return read_any_text(write_any_text(folder), PLAN)
