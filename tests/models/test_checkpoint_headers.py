"""Heads of checkpoints as torch and safetensors really write them."""

import pytest
import safetensors.torch
import torch

from deployments.weights.checkpoint_headers import read_shapes
from inpaint.checkpoint_shapes import NotAModelError

SHAPES = {"a.weight": (2, 9, 3, 3), "b": (4,), "scalar": (), "half": (2, 3)}


def tensors():
    made = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    return made | {"half": made["half"].half(), "b": made["b"].long()}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_of_torch_save(tmp_path, zipped, wrapped):
    state = tensors() | {"a.weight": torch.nn.Parameter(torch.zeros(SHAPES["a.weight"]))}
    content = {"state_dict": state, "global_step": 3, "lr": 0.1} if wrapped else state
    path = tmp_path / "x.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert read_shapes(path) == SHAPES


def test_of_a_networks_state_dict_with_its_metadata(tmp_path):
    network = torch.nn.Conv2d(9, 2, 3)
    path = tmp_path / "x.ckpt"
    torch.save(network.state_dict(), path)
    assert read_shapes(path) == {"weight": (2, 9, 3, 3), "bias": (2,)}


def test_of_a_whole_network_which_is_code(tmp_path):
    path = tmp_path / "x.ckpt"
    torch.save(torch.nn.Linear(1, 1), path)
    with pytest.raises(NotAModelError, match=r"torch\.nn"):
        read_shapes(path)


def test_of_safetensors(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file(tensors(), path, metadata={"format": "pt"})
    assert read_shapes(path) == SHAPES
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(NotAModelError, match="breaks off"):
        read_shapes(path)
