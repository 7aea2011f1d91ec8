"""Reading ControlNets: as they are published, strictly, and for the right base only."""

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from deployments.models.controlnets import read_controlnet
from deployments.models.guide_fit import misfit
from inpaint.errors import WeightsCorruptError
from tests.models.painting import load, paint
from tests.standins.controlnets import write_controlnet
from tests.standins.damage import DAMAGES, MakesFolder, as_pickle
from tests.standins.diffusion import copy_folder, edit_json, random_unet

WEIGHTS = "diffusion_pytorch_model.safetensors"

SD15 = {
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "conditioning_embedding_out_channels": [16, 32, 96, 256],
    "cross_attention_dim": 768,
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "in_channels": 4,
    "layers_per_block": 2,
    "transformer_layers_per_block": 1,
    "use_linear_projection": False,
}
"""What tells sizes in the config.json of lllyasviel/control_v11p_sd15_canny."""
SDXL = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280],
    "conditioning_embedding_out_channels": [16, 32, 96, 256],
    "cross_attention_dim": 2048,
    "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 2],
    "in_channels": 4,
    "layers_per_block": 2,
    "projection_class_embeddings_input_dim": 2816,
    "transformer_layers_per_block": [1, 2, 10],
    "use_linear_projection": True,
}
"""The same of diffusers/controlnet-canny-sdxl-1.0."""
SMALL = {"down_block_types": ["DownBlock2D"] * 3, "transformer_layers_per_block": 0}
"""What is else in diffusers/controlnet-canny-sdxl-1.0-small, whose middle is as usual."""
UNETS = {
    "sd15": {
        "attention_head_dim": 8,
        "block_out_channels": (320, 640, 1280, 1280),
        "cross_attention_dim": 768,
    },
    "sdxl": {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "attention_head_dim": (5, 10, 20),
        "block_out_channels": (320, 640, 1280),
        "cross_attention_dim": 2048,
        "down_block_types": ("DownBlock2D", *["CrossAttnDownBlock2D"] * 2),
        "projection_class_embeddings_input_dim": 2816,
        "transformer_layers_per_block": (1, 2, 10),
        "up_block_types": (*["CrossAttnUpBlock2D"] * 2, "UpBlock2D"),
        "use_linear_projection": True,
    },
}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_controlnet(tmp_path_factory.mktemp("published") / "canny")


@pytest.fixture
def folder(published, tmp_path):
    """A copy to spoil."""
    return copy_folder(published, tmp_path / "canny")


@pytest.fixture(scope="module")
def unet():
    return random_unet("sd15", 9)


def read(folder, unet, dtype=torch.float32):
    return read_controlnet(folder, unet, dtype)


@pytest.mark.parametrize(
    ("base", "config", "millions"),
    [
        # 1.45 GB of float32, and 2.50 GB of float16 are what the two repositories hold.
        ("sd15", SD15, 361.3),
        ("sdxl", SDXL, 1251.0),
        ("sdxl", SDXL | SMALL, 160.1),
    ],
    ids=["sd15", "sdxl", "sdxl-small"],
)
def test_published_sizes_fit_the_published_checkpoints(base, config, millions):
    with torch.device("meta"):
        network = ControlNetModel.from_config(config)
        unet = UNet2DConditionModel(**UNETS[base])
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)
    assert misfit(network, unet) is None
    other = {"sd15": "sdxl", "sdxl": "sd15"}[base]
    with torch.device("meta"):
        assert misfit(network, UNet2DConditionModel(**UNETS[other])) is not None


def test_every_tensor_is_read(published, unet):
    expected = load_file(published / WEIGHTS)
    state = read(published, unet).state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in expected)


def test_network_is_read_for_painting(published, unet):
    network = read(published, unet, torch.bfloat16)
    assert not network.training
    assert {(tensor.dtype, tensor.requires_grad) for tensor in network.parameters()} == {
        (torch.bfloat16, False)
    }


@pytest.mark.parametrize("options", [{"variant": "fp16"}, {"pickled": True}], ids=str)
def test_other_ways_of_storing_it_are_read(tmp_path, published, unet, options):
    written = write_controlnet(tmp_path / "other", **options)
    expected = load_file(published / WEIGHTS)
    for key, tensor in read(written, unet).state_dict().items():
        torch.testing.assert_close(tensor, expected[key], rtol=1e-3, atol=1e-4)


def test_half_precision_is_preferred_where_there_is_both(folder, unet):
    write_controlnet(folder, variant="fp16", seed=5)
    state = load_file(folder / "diffusion_pytorch_model.fp16.safetensors")
    read_state = read(folder, unet, torch.float16).state_dict()
    assert all(torch.equal(read_state[key], state[key]) for key in state)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_is_refused(folder, unet, damage):
    path = folder / WEIGHTS
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(WeightsCorruptError, match=WEIGHTS):
        read(folder, unet)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_config_is_refused(folder, unet, damage):
    path = folder / "config.json"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(WeightsCorruptError, match=r"config\.json"):
        read(folder, unet)


def test_missing_files_are_told(tmp_path, folder, unet):
    with pytest.raises(WeightsCorruptError, match=r"^config\.json cannot be used"):
        read(tmp_path / "nothing", unet)
    (folder / WEIGHTS).unlink()
    with pytest.raises(WeightsCorruptError, match="no whole set of weights"):
        read(folder, unet)


def test_weights_that_lack_a_tensor_are_refused(folder, unet):
    state = load_file(folder / WEIGHTS)
    del state["controlnet_mid_block.weight"]
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(WeightsCorruptError, match="1 tensors are missing"):
        read(folder, unet)


def test_weights_with_a_tensor_too_many_are_refused(folder, unet):
    state = load_file(folder / WEIGHTS)
    state["task_embedding"] = torch.zeros(3)
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(WeightsCorruptError, match="1 tensors are unknown"):
        read(folder, unet)


def test_tensors_of_another_shape_are_refused(folder, unet):
    edit_json(folder / "config.json", cross_attention_dim=128)
    with pytest.raises(WeightsCorruptError, match=WEIGHTS):
        read(folder, unet)


@pytest.mark.parametrize(("family", "other"), [("sd15", "sdxl"), ("sdxl", "sd15")])
def test_controlnet_of_another_base_is_refused_and_the_model_goes_on(
    tmp_path, diffusion_folder, family, other
):
    model = load(diffusion_folder(family, 9))
    usual = paint(model)
    stranger = {"controlnet-canny": write_controlnet(tmp_path / "stranger", other)}
    with pytest.raises(WeightsCorruptError, match="no ControlNet for this checkpoint: its widths"):
        paint(model, stranger, enable_controlnet=True)
    np.testing.assert_array_equal(paint(model), usual)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cross_attention_dim": 128}, "its prompt's width is 128, the checkpoint's 64"),
        ({"in_channels": 9}, "its in_channels is 9, and must be 4"),
        ({"conditioning_channels": 6}, "its conditioning_channels is 6, and must be 3"),
        (
            {"conditioning_embedding_out_channels": (16, 32, 96)},
            "its control picture is of another size",
        ),
    ],
    ids=str,
)
def test_network_with_other_inputs_is_refused(tmp_path, unet, changes, reason):
    """SD 2.1's is one of them: it reads 1024 values of the prompt."""
    config = ControlNetModel.from_unet(random_unet("sd15", 4)).config
    ControlNetModel.from_config(dict(config) | changes).save_pretrained(tmp_path)
    with pytest.raises(WeightsCorruptError, match=reason):
        read(tmp_path, unet)


@pytest.mark.parametrize("name", ["ControlNetUnionModel", "UNet2DConditionModel", None])
def test_config_of_another_class_is_refused(folder, unet, name):
    edit_json(folder / "config.json", _class_name=name)
    with pytest.raises(WeightsCorruptError, match="describes no ControlNetModel"):
        read(folder, unet)


def test_pickle_with_code_in_it_is_not_run(tmp_path, unet):
    folder = write_controlnet(tmp_path / "net", pickled=True)
    trap = tmp_path / "trap"
    (folder / "diffusion_pytorch_model.bin").write_bytes(as_pickle(MakesFolder(trap)))
    with pytest.raises(WeightsCorruptError, match=r"diffusion_pytorch_model\.bin"):
        read(folder, unet)
    assert not trap.exists()
