"""LaMa's OpenVINO engine: the same pixels, ready later, and never in the way."""

import os
from concurrent.futures import Future

import numpy as np
import pytest
import torch

from deployments.models import lama_openvino
from deployments.models.fourier import FourierUnit, Recipe
from deployments.models.fourier_matrices import MatrixFourierUnit, waves
from deployments.models.lama import Lama, check_agreement, read_network, start_engine
from inpaint.catalog import Catalog
from inpaint.errors import ExtraMissingError
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.resources import configs_dir
from tests.standins.lama import random_lama, write_lama_state_dict, write_lama_torchscript

pytest.importorskip("openvino", reason="the extra [openvino] is not installed")

SPEC = Catalog.from_dirs([configs_dir() / "models"]).get("lama")
OPENVINO = LoadOptions(engine="openvino", threads=2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_lama_torchscript(tmp_path_factory.mktemp("weights") / "big-lama.pt")


@pytest.fixture(scope="module")
def engine(weights):
    return lama_openvino.open_engine(weights, threads=2)


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 3), (9, 2)])
def test_matrix_products_are_the_fourier_transform(size):
    torch.manual_seed(0)
    unit = FourierUnit(6, Recipe(torch.nn.BatchNorm2d, has_local_unit=False)).eval()
    x = torch.randn(2, 6, *size)
    with torch.inference_mode():
        torch.testing.assert_close(MatrixFourierUnit(unit)(x), unit(x), atol=1e-5, rtol=1e-5)


def test_waves_keep_their_angle_at_large_lengths():
    cosine, sine = waves(4000, 2001)
    exact = 2 * np.pi * (np.arange(4000)[:, None] * np.arange(2001) % 4000) / 4000
    np.testing.assert_allclose(cosine, np.cos(exact), atol=1e-6)
    np.testing.assert_allclose(sine, np.sin(exact), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 48, 80), (1, 16, 136)])
def test_one_graph_answers_every_size_and_batch(engine, weights, shape):
    count, height, width = shape
    image = torch.rand(count, 3, height, width)
    mask = torch.randint(0, 2, (count, 1, height, width))
    with torch.inference_mode():
        expected = read_network(weights)(image, mask)
    torch.testing.assert_close(engine(image, mask), expected, atol=1e-5, rtol=0)


def test_graph_lies_beside_the_weights_and_is_made_once(engine, weights, monkeypatch):
    graph = weights.parent / "openvino" / lama_openvino.graph_name(weights)
    assert graph.is_file()
    assert graph.with_suffix(".bin").is_file()
    monkeypatch.setattr(lama_openvino, "build_apart", pytest.fail)
    lama_openvino.open_engine(weights, threads=1)


def test_graph_of_older_weights_is_replaced(tmp_path, monkeypatch):
    made = []

    def build(weights, graph):
        made.append(graph)
        lama_openvino.build(read_network(weights), graph)

    monkeypatch.setattr(lama_openvino, "build_apart", build)
    path = write_lama_state_dict(tmp_path / "own.safetensors", seed=1)
    lama_openvino.open_engine(path, threads=1)
    write_lama_state_dict(path, seed=2)
    os.utime(path, ns=(1, 1))
    engine = lama_openvino.open_engine(path, threads=1)
    check_agreement(engine, random_lama(seed=2))
    assert len(made) == 2
    assert not made[0].exists()
    assert made[1].is_file()


def test_folder_that_cannot_be_written_is_no_hindrance(tmp_path, monkeypatch):
    path = write_lama_state_dict(tmp_path / "own.safetensors")
    monkeypatch.setattr(
        lama_openvino,
        "build_apart",
        lambda weights, graph: lama_openvino.build(read_network(weights), graph),
    )
    monkeypatch.setattr(lama_openvino.os, "access", lambda *_: False)
    check_agreement(lama_openvino.open_engine(path, threads=1), random_lama())
    assert not list((tmp_path / "openvino").iterdir())


def test_model_answers_at_once_and_changes_over_within_a_level(engine, weights, photo, hole):
    eager = Lama.load(SPEC, [weights], LoadOptions())
    waiting = Future()
    model = Lama(read_network(weights), "cpu", waiting)
    images, masks = photo[None], hole[None]
    before = model.forward(images, masks, EraseParams())
    np.testing.assert_array_equal(before, eager.forward(images, masks, EraseParams()))
    calls = []

    def counted(image, mask):
        calls.append(image.shape)
        return engine(image, mask)

    waiting.set_result(counted)
    after = model.forward(images, masks, EraseParams())
    assert calls == [(1, 3, *hole.shape)]
    assert np.abs(after.astype(int) - before).max() <= 1


def test_loading_starts_the_engine(weights, engine):
    model = Lama.load(SPEC, [weights], OPENVINO)
    assert model._faster.result(timeout=60)


def test_engine_that_answers_otherwise_is_not_taken(weights, monkeypatch):
    monkeypatch.setattr(
        lama_openvino,
        "open_engine",
        lambda *_: lambda image, mask: random_lama(seed=9)(image, mask),
    )
    network = read_network(weights)
    future = start_engine(weights, network, OPENVINO)
    assert "off by" in str(future.exception(timeout=30))
    model = Lama(network, "cpu", future)
    assert model._fastest() is network


def test_engine_that_cannot_be_made_leaves_the_network(tmp_path, weights):
    network = read_network(weights)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"no weights")
    future = start_engine(broken, network, OPENVINO)
    assert future.exception(timeout=60) is not None
    assert Lama(network, "cpu", future)._fastest() is network


def test_engine_is_chosen_by_configuration(weights, monkeypatch):
    assert Lama.load(SPEC, [weights], LoadOptions(engine="torch"))._faster is None
    monkeypatch.setattr(lama_openvino, "is_installed", lambda: False)
    assert Lama.load(SPEC, [weights], LoadOptions(engine="auto"))._faster is None
    with pytest.raises(ExtraMissingError, match=r"\[openvino\]"):
        Lama.load(SPEC, [weights], OPENVINO)
