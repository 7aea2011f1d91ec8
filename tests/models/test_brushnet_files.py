"""BrushNets as folders: what is read, and what is refused."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from deployments.models.brushnet_files import WEIGHTS as KNOWN_NAMES
from deployments.models.brushnet_files import read_brushnet
from deployments.models.guide_fit import misfit
from inpaint.errors import WeightsCorruptError
from tests.standins.brushnet import CONFIG, WEIGHTS, random_weights, small_shapes, write_brushnet
from tests.standins.damage import DAMAGES
from tests.standins.diffusion import edit_json, random_unet

FP16, PICKLED = "diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.bin"


@pytest.fixture
def folder(tmp_path):
    return write_brushnet(tmp_path / "brushnet")


def rewrite(folder, change):
    """Change the stored tensors."""
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS)


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_every_tensor_is_read(tmp_path, family):
    network = read_brushnet(write_brushnet(tmp_path / family, family, seed=5), torch.float32)
    stored = random_weights(small_shapes(family), seed=5)
    read = network.state_dict()
    assert read.keys() == stored.keys()
    assert all(torch.equal(read[key], stored[key]) for key in stored)
    assert not network.training
    assert not any(tensor.requires_grad for tensor in network.parameters())
    assert misfit(network, random_unet(family, 4)) is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_become_what_the_checkpoint_computes_in(folder, dtype):
    network = read_brushnet(folder, dtype)
    assert network.dtype == dtype
    assert {tensor.dtype for tensor in network.parameters()} == {dtype}
    stored = load_file(folder / WEIGHTS)
    for key, value in network.state_dict().items():
        assert torch.equal(value, stored[key].to(dtype))


def test_half_precision_alone_is_read_and_computes_in_float32(folder):
    state = {key: value.half() for key, value in load_file(folder / WEIGHTS).items()}
    save_file(state, folder / FP16)
    (folder / WEIGHTS).unlink()
    network = read_brushnet(folder, torch.float32)
    assert all(
        torch.equal(value, state[key].float()) for key, value in network.state_dict().items()
    )


def test_full_precision_comes_first(folder):
    save_file({"x": torch.zeros(1)}, folder / FP16)
    torch.save({"x": torch.zeros(1)}, folder / PICKLED)
    read_brushnet(folder, torch.float16)


def test_older_format_is_read(folder):
    state = load_file(folder / WEIGHTS)
    torch.save(state, folder / PICKLED)
    (folder / WEIGHTS).unlink()
    network = read_brushnet(folder, torch.float32)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_names_are_those_of_the_published_files():
    assert KNOWN_NAMES == (WEIGHTS, FP16, PICKLED)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(WeightsCorruptError, match=f"^brushnet .* holds no {name}"):
        read_brushnet(folder, torch.float32)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told_with_the_files_name(folder, name, damage):
    path = folder / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(WeightsCorruptError, match=f"^{name} ") as caught:
        read_brushnet(folder, torch.float32)
    assert str(folder) not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (lambda state: state.pop("conv_in_condition.bias"), "1 are missing and 0 .* 0 are unknown"),
        (lambda state: state.pop("brushnet_up_blocks.3.weight"), "1 are missing"),
        (lambda state: state.update(extra=torch.zeros(1)), "0 are missing and 0 .* 1 are unknown"),
        (
            lambda state: state.update({"conv_in_condition.weight": torch.zeros(32, 8, 3, 3)}),
            "0 are missing and 1 have another shape",
        ),
    ],
    ids=["missing", "missing-output", "unknown", "reshaped"],
)
def test_reading_is_strict(folder, change, counts):
    rewrite(folder, change)
    with pytest.raises(WeightsCorruptError, match=f"^{WEIGHTS} .*{counts}"):
        read_brushnet(folder, torch.float32)


def test_config_and_weights_must_belong_together(folder, tmp_path):
    other = write_brushnet(tmp_path / "other", "sdxl")
    (other / WEIGHTS).rename(folder / WEIGHTS)
    with pytest.raises(WeightsCorruptError, match="are missing"):
        read_brushnet(folder, torch.float32)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"_class_name": "ControlNetModel"}, "_class_name"),
        ({"conditioning_channels": 3}, "conditioning_channels"),
        ({"up_block_types": ["UpBlock2D"]}, "as a whole"),
    ],
)
def test_config_of_another_network_is_refused(folder, change, where):
    edit_json(folder / CONFIG, **change)
    with pytest.raises(WeightsCorruptError, match=rf"^{CONFIG} .*no BrushNet .*\({where}\)"):
        read_brushnet(folder, torch.float32)


@pytest.mark.parametrize(("family", "other"), [("sd15", "sdxl"), ("sdxl", "sd15")])
def test_a_network_of_another_base_does_not_fit(tmp_path, family, other):
    network = read_brushnet(write_brushnet(tmp_path / family, family), torch.float32)
    assert "its widths" in str(misfit(network, random_unet(other, 4)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layers_per_block": 1}, "layers is 1, the checkpoint's 2"),
        ({"addition_embed_type": "text_time"}, "embedding is text_time, the checkpoint's None"),
        (
            {"projection_class_embeddings_input_dim": 2816},
            "embedding's width is 2816, the checkpoint's None",
        ),
        (
            {"down_block_types": ("CrossAttnDownBlock2D",) * 4, "cross_attention_dim": 768},
            "prompt's width is 768, the checkpoint's 64",
        ),
    ],
)
def test_what_does_not_fit_is_told(folder, change, reason):
    network = read_brushnet(folder, torch.float32)
    network.config = network.config.model_copy(update=change)
    assert misfit(network, random_unet("sd15", 4)) == f"its {reason}"
