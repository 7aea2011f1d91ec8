"""Control pictures: edges, holes, depth and poses, against independently computed ones."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from safetensors.torch import load_file, save_file
from transformers import DPTForDepthEstimation

from deployments.models.control_pictures import edges, holes, maker_of
from deployments.models.depth_maps import as_picture, depth_map, read_estimator
from deployments.models.poses import FILES, find_weights
from inpaint.errors import ExtraMissingError, ModelError, WeightsCorruptError, WeightsMissingError
from tests.models.painting import load, order, paint, picture
from tests.standins.controlnets import DEPTH_PX, write_controlnet, write_depth_estimator
from tests.standins.damage import DAMAGES
from tests.standins.diffusion import copy_folder


@pytest.fixture(scope="module")
def shared(diffusion_folder):
    return load(diffusion_folder("sd15", 9))._shared


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_depth_estimator(tmp_path_factory.mktemp("depth") / "dpt")


@pytest.fixture
def estimator(published, tmp_path):
    """A copy to spoil."""
    return copy_folder(published, tmp_path / "dpt")


# Edges


def test_edges_are_where_the_picture_steps():
    image = np.full((40, 60, 3), 40, np.uint8)
    image[10:30, 20:40] = 200
    image.flags.writeable = False
    found = edges(image)
    assert found.shape == image.shape
    assert found.dtype == np.uint8
    assert set(np.unique(found)) == {0, 255}
    assert (found == found[:, :, :1]).all()
    rows, columns = np.nonzero(found[:, :, 0])
    inner = np.zeros((40, 60), bool)
    inner[12:28, 22:38] = True
    assert not inner[rows, columns].any()
    outer = np.zeros((40, 60), bool)
    outer[8:32, 18:42] = True
    assert outer[rows, columns].all()
    assert len(rows) >= 2 * (20 + 20) - 8


@pytest.mark.parametrize(("step", "is_found"), [(20, False), (60, True)])
def test_edges_must_be_steep(step, is_found):
    """A step of s levels has a gradient of 4 s by Sobel's filter; 200 starts an edge."""
    image = np.full((32, 32, 3), 100, np.uint8)
    image[:, 16:] += step
    assert edges(image).any() == is_found


def test_edges_of_one_colour_channel_count():
    """So they are of the RGB image: in grey, blue would weigh 0.11."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 16:, 2] = 100
    assert edges(image).any()


# Holes


def test_holes_are_minus_one_and_the_rest_is_the_picture():
    image, mask = picture()
    values = holes(image, mask)
    assert values.shape == (1, 3, *mask.shape)
    assert values.dtype == torch.float32
    back = values[0].permute(1, 2, 0).numpy()
    assert (back[mask == 255] == -1).all()
    np.testing.assert_array_equal((back[mask == 0] * 255).round(), image[mask == 0])


# Depth


def test_depth_is_the_networks_over_the_whole_range(published, shared):
    image, _ = picture()
    found = depth_map(image, read_estimator(published, torch.float32), shared)
    assert found.shape == image.shape
    assert (found.min(), found.max()) == (0, 255)
    assert (found == found[:, :, :1]).all()
    # By hand: squeezed to the network's square by PIL, -1..1, and stretched again.
    squeezed = Pictures.fromarray(image).resize((DEPTH_PX, DEPTH_PX), Pictures.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.asarray(squeezed) / 127.5 - 1).float().permute(2, 0, 1)[None]
    network = DPTForDepthEstimation.from_pretrained(published)
    for name, parameter in network.named_parameters():
        if "fusion_stage.layers.0.residual_layer1" in name:
            torch.nn.init.normal_(parameter)  # not in the file, and without a say
    with torch.no_grad():
        depth = network.eval()(pixels).predicted_depth
    sized = torch.nn.functional.interpolate(depth[None], image.shape[:2], mode="bicubic")[0, 0]
    levels = (sized - sized.min()) / (sized.max() - sized.min()) * 255
    np.testing.assert_allclose(found[:, :, 0], levels.numpy(), atol=1.01)


@pytest.mark.parametrize("depth", [0.0, 3.0, -2000.0])
def test_depth_of_a_plane_is_black_and_no_error(depth):
    assert not as_picture(torch.full((1, 8, 8), depth), 16, 24).any()


def test_depth_near_is_bright():
    depth = torch.linspace(0, 5, 16).expand(1, 16, 16)
    found = as_picture(depth, 16, 16)[:, :, 0]
    assert (np.diff(found.astype(int), axis=1) >= 0).all()
    assert found[0, 0] == 0
    assert found[0, -1] == 255


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["model.safetensors", "preprocessor_config.json", "config.json"])
def test_damaged_estimator_is_refused(estimator, name, damage):
    path = estimator / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(WeightsCorruptError, match=name.replace(".", r"\.")):
        read_estimator(estimator, torch.float32)


def test_estimator_that_lacks_tensors_is_refused(estimator):
    path = estimator / "model.safetensors"
    state = load_file(path)
    assert not any(key.startswith("neck.fusion_stage.layers.0.residual_layer1") for key in state)
    del state["head.head.4.bias"]
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(WeightsCorruptError, match="1 tensors are missing"):
        read_estimator(estimator, torch.float32)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_depth_in_half_precision_is_about_the_same(published, shared, precision):
    image, _ = picture()
    exact, half = (
        depth_map(image, read_estimator(published, dtype), shared)
        for dtype in (torch.float32, precision)
    )
    assert np.abs(exact.astype(int) - half).mean() < 25


# Poses


@pytest.fixture
def pose_order(tmp_path):
    """An order whose ControlNet lies in a model directory of its own."""
    folder = write_controlnet(hub_of(tmp_path) / "models--a--b" / "snapshots" / "c")
    return order({"controlnet-openpose": folder}, enable_controlnet=True)


def hub_of(model_dir: Path) -> Path:
    return model_dir / "huggingface" / "hub"


def write_annotators(model_dir: Path) -> Path:
    folder = hub_of(model_dir) / "models--lllyasviel--Annotators" / "snapshots" / "1"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(b"weights")
    return folder


@pytest.fixture
def controlnet_aux(monkeypatch):
    """The package as far as it is used: it draws a white stripe."""
    module = ModuleType("controlnet_aux")
    calls = []

    class OpenposeDetector:
        @classmethod
        def from_pretrained(cls, folder):
            calls.append(("read", folder))
            return cls()

        def to(self, device):
            calls.append(("moved", device))
            return self

        def __call__(self, image, include_hand=False, include_face=False):
            calls.append(("drawn", image.shape, include_hand, include_face))
            skeleton = np.zeros((512, 768, 3), np.uint8)
            skeleton[200:300] = 255
            return Pictures.fromarray(skeleton)

    module.OpenposeDetector = OpenposeDetector
    monkeypatch.setitem(sys.modules, "controlnet_aux", module)
    return calls


@pytest.mark.parametrize("error", [ImportError, RuntimeError])
def test_poses_without_their_package_are_refused_by_its_name(
    shared, pose_order, monkeypatch, error
):
    def fail(name):
        raise error

    monkeypatch.setattr("deployments.models.poses.import_module", fail)
    with pytest.raises(ExtraMissingError, match="Python package controlnet_aux") as caught:
        maker_of("openpose", shared, pose_order)
    assert caught.value.status == 503


def test_poses_without_weights_are_refused_by_their_names(
    shared, pose_order, controlnet_aux, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(WeightsMissingError, match=r"body_pose_model\.pth.*lllyasviel/Annotators"):
        maker_of("openpose", shared, pose_order)
    (write_annotators(tmp_path) / FILES[2]).unlink()
    with pytest.raises(WeightsMissingError):
        maker_of("openpose", shared, pose_order)
    assert controlnet_aux == []


def test_weights_of_poses_are_found_in_the_default_model_directory(
    pose_order, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    folder = write_annotators(tmp_path / "elsewhere")
    assert find_weights(pose_order.adapters["controlnet-openpose"]) == folder


def test_poses_are_drawn_with_hands_and_faces_and_read_once(
    diffusion_folder, pose_order, controlnet_aux, tmp_path
):
    model = load(diffusion_folder("sd15", 9))
    folder = write_annotators(tmp_path)
    first = paint(model, pose_order.adapters, enable_controlnet=True)
    second = paint(model, pose_order.adapters, enable_controlnet=True)
    np.testing.assert_array_equal(first, second)
    drawn = ("drawn", picture()[0].shape, True, True)
    assert controlnet_aux == [("read", str(folder)), ("moved", "cpu"), drawn, drawn]


def test_unknown_control_picture_is_an_error(shared):
    with pytest.raises(ModelError, match="ControlNet for scribbles"):
        maker_of("scribbles", shared, order())
