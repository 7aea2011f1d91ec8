"""The folders that PaddleOCR loads the shipped models from."""

import multiprocessing
import tempfile
from importlib.util import find_spec

import pytest
import yaml

from deployments.models import paddle_model_dirs
from deployments.models.paddle_model_dirs import DET_MODEL, REC_MODEL, shipped_model_dirs
from inpaint.errors import ExtraMissingError, WeightsMissingError

pytestmark = pytest.mark.skipif(
    find_spec("rapidocr") is None, reason="the extra [ocr] is not installed"
)


@pytest.fixture(autouse=True)
def temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()


def test_folders_hold_a_model_and_its_description(tmp_path):
    dirs = shipped_model_dirs(tmp_path)
    for folder, name in ((dirs.detection, DET_MODEL), (dirs.recognition, REC_MODEL)):
        assert folder.is_relative_to(tmp_path / "inpaint-serve")
        assert (folder / "inference.onnx").stat().st_size > 1_000_000
        head = (folder / "inference.yml").read_text(encoding="utf-8")
        assert f"model_name: {name}" in head
    text = (dirs.recognition / "inference.yml").read_text(encoding="utf-8")
    described = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text).get_single_data()
    letters = described["PostProcess"]["character_dict"]
    assert len(letters) > 18_000
    assert {"A", "z", "?", "字"} <= set(letters)
    assert all(isinstance(letter, str) for letter in letters)


def test_folders_are_made_once(tmp_path):
    first = shipped_model_dirs(tmp_path)
    written = (first.recognition / "inference.yml").stat().st_mtime_ns
    assert shipped_model_dirs(tmp_path) == first
    assert (first.recognition / "inference.yml").stat().st_mtime_ns == written


def test_a_folder_whose_model_has_gone_is_made_again(tmp_path):
    first = shipped_model_dirs(tmp_path)
    (first.detection / "inference.onnx").unlink()
    again = shipped_model_dirs(tmp_path)
    assert (again.detection / "inference.onnx").is_file()


def test_several_processes_make_them_at_once(tmp_path):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        made = pool.map(shipped_model_dirs, [tmp_path] * 4)
    assert len(set(made)) == 1
    left = [path.name for path in (tmp_path / "inpaint-serve/ocr").iterdir()]
    assert left == [made[0].detection.parent.name]


def test_a_cache_that_cannot_be_written_is_replaced_by_a_temporary_folder(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    dirs = shipped_model_dirs(tmp_path / "file")
    assert dirs.detection.is_relative_to(tmp_path / "tmp")
    assert shipped_model_dirs(tmp_path / "file") == dirs


def test_file_systems_without_links_get_copies(tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError("no links here")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    dirs = shipped_model_dirs(tmp_path)
    assert not (dirs.detection / "inference.onnx").is_symlink()
    assert (dirs.detection / "inference.onnx").stat().st_size > 1_000_000


def test_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(paddle_model_dirs, "find_spec", lambda name: None)
    with pytest.raises(ExtraMissingError, match=r"inpaint-serve\[ocr\]"):
        shipped_model_dirs(tmp_path)


def test_package_with_other_models_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setitem(paddle_model_dirs._FILES, DET_MODEL, "PP-OCRv9_det.onnx")
    with pytest.raises(WeightsMissingError, match=r"does not ship PP-OCRv9_det.onnx"):
        shipped_model_dirs(tmp_path)
