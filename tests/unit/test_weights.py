"""The weights store: where files are found, and which of them may be loaded."""

import hashlib
import io
import os
import zipfile

import pytest

from deployments.weights import WeightsStore, default_model_dir, is_extra_installed, is_torchscript
from inpaint.errors import ExtraMissingError, WeightsCorruptError, WeightsMissingError
from inpaint.specs import EXTRA_PACKAGES, ModelSpec
from inpaint.states import ModelState

CONTENT = b"numbers, and nothing else"
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
OTHER_MD5 = "0" * 32


def spec_of(md5=MD5, alternatives=(), **more):
    file = {"env": "TOY", "url": "https://example.org/a/toy.pt", "md5": md5}
    return ModelSpec.model_validate(
        {
            "name": "toy",
            "family": "Erase",
            "kind": "erase",
            "runner": "some.module:Toy",
            "licence": {"name": "MIT"},
            "memory_mb": 1,
            "weights": [file | {"alternatives": alternatives}],
        }
        | more
    )


@pytest.fixture(autouse=True)
def _no_overrides(monkeypatch):
    for name in ("TOY_MODEL_URL", "TOY_MODEL_MD5"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def store(tmp_path):
    (tmp_path / "torch/hub/checkpoints").mkdir(parents=True)
    return WeightsStore(tmp_path)


@pytest.fixture(scope="session")
def torchscript():
    """A zip with the members by which TorchScript is known; tests/models has real ones."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("data.pkl", "code/__torch__.py", "constants.pkl", "version"):
            archive.writestr(f"twice/{name}", b"")
    return stream.getvalue()


def put(store, name="toy.pt", content=CONTENT):
    path = store.checkpoints / name
    path.write_bytes(content)
    return path


def count_digests(monkeypatch):
    """A list that grows by one for each file that is read for its digest."""
    read = []
    real = hashlib.file_digest

    def counted(stream, digest):
        read.append(stream.name)
        return real(stream, digest)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return read


def test_files_lie_where_iopaint_puts_them(store, tmp_path):
    path = tmp_path / "torch" / "hub" / "checkpoints" / "toy.pt"
    path.write_bytes(CONTENT)
    assert store.verified(spec_of()) == [path]


@pytest.mark.parametrize("value", [None, ""])
def test_model_dir_is_home_cache_by_default(value, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    env = {} if value is None else {"XDG_CACHE_HOME": value}
    assert default_model_dir(env) == tmp_path / ".cache"


def test_model_dir_is_the_caches_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert WeightsStore().checkpoints == tmp_path / "torch/hub/checkpoints"


def test_state_tells_missing_from_downloaded(store):
    assert store.state(spec_of()) is ModelState.MISSING
    put(store)
    assert store.state(spec_of()) is ModelState.DOWNLOADED
    assert store.state(spec_of(weights=[])) is ModelState.DOWNLOADED


def test_state_reads_no_file(store, monkeypatch):
    put(store, content=b"wrong")
    read = count_digests(monkeypatch)
    assert store.state(spec_of()) is ModelState.DOWNLOADED
    assert read == []


def test_every_file_of_a_model_is_needed_in_order(store):
    files = [{"env": f"TOY{n}", "url": f"https://example.org/{n}.pt"} for n in (2, 1)]
    second = put(store, "2.pt")
    assert store.state(spec_of(weights=files)) is ModelState.MISSING
    first = put(store, "1.pt")
    assert store.verified(spec_of(weights=files)) == [second, first]


def test_missing_file_is_told_with_where_to_get_it(store, tmp_path):
    with pytest.raises(WeightsMissingError, match=r"https://example\.org/a/toy\.pt") as caught:
        store.verified(spec_of())
    assert str(tmp_path) not in caught.value.detail


def test_checksum_that_differs_is_never_verified(store, tmp_path):
    put(store, content=b"other")
    for _ in range(2):
        with pytest.raises(WeightsCorruptError, match=f"MD5 is not {MD5}") as caught:
            store.verified(spec_of())
        assert str(tmp_path) not in caught.value.detail


def test_checksum_is_computed_once_for_an_unchanged_file(store, monkeypatch):
    path = put(store)
    read = count_digests(monkeypatch)
    for _ in range(3):
        store.verified(spec_of())
    assert read == [str(path)]


def test_checksum_is_computed_again_for_a_changed_file(store):
    path = put(store)
    store.verified(spec_of())
    path.write_bytes(b"changed".ljust(len(CONTENT)))
    os.utime(path, ns=(0, 0))
    with pytest.raises(WeightsCorruptError):
        store.verified(spec_of())


def test_alternative_is_taken_where_the_published_file_is_not(store):
    spec = spec_of(alternatives=["toy.safetensors", "toy.ckpt"])
    ckpt = put(store, "toy.ckpt", b"a state dict")
    assert store.verified(spec) == [ckpt]
    safe = put(store, "toy.safetensors", b"a state dict too")
    assert store.verified(spec) == [safe]
    published = put(store)
    assert store.verified(spec) == [published]


def test_url_override_names_another_file(store, monkeypatch):
    put(store)
    mine = put(store, "mine.pt", b"my own numbers")
    monkeypatch.setenv("TOY_MODEL_URL", "https://10.0.0.7/x/mine.pt?download=true")
    assert store.verified(spec_of()) == [mine]


def test_url_override_may_be_a_path(store, monkeypatch, tmp_path):
    mine = tmp_path / "elsewhere.pt"
    mine.write_bytes(b"my own numbers")
    monkeypatch.setenv("TOY_MODEL_URL", str(mine))
    assert store.state(spec_of()) is ModelState.DOWNLOADED
    assert store.verified(spec_of()) == [mine]


@pytest.mark.parametrize("value", ["https://user:secret@10.0.0.7/mine.pt", "/srv/private/mine.pt"])
def test_url_override_is_not_told_to_clients(store, monkeypatch, value):
    monkeypatch.setenv("TOY_MODEL_URL", value)
    with pytest.raises(WeightsMissingError, match="TOY_MODEL_URL") as caught:
        store.verified(spec_of())
    assert not any(word in caught.value.detail for word in ("10.0.0.7", "secret", "/srv"))


def test_empty_url_override_is_none(store, monkeypatch):
    monkeypatch.setenv("TOY_MODEL_URL", "")
    put(store, content=b"other")
    with pytest.raises(WeightsCorruptError):
        store.verified(spec_of())


def test_md5_override_replaces_the_published_one(store, monkeypatch):
    put(store)
    monkeypatch.setenv("TOY_MODEL_MD5", MD5)
    assert len(store.verified(spec_of(md5=OTHER_MD5))) == 1
    monkeypatch.setenv("TOY_MODEL_MD5", OTHER_MD5)
    with pytest.raises(WeightsCorruptError):
        store.verified(spec_of())


def test_md5_override_holds_for_a_url_override_called_as_an_alternative(
    store, monkeypatch, tmp_path
):
    mine = tmp_path / "toy.safetensors"
    mine.write_bytes(CONTENT)
    monkeypatch.setenv("TOY_MODEL_URL", str(mine))
    monkeypatch.setenv("TOY_MODEL_MD5", OTHER_MD5)
    with pytest.raises(WeightsCorruptError):
        store.verified(spec_of(alternatives=["toy.safetensors"]))


def test_torchscript_is_known_by_its_content(tmp_path, torchscript):
    for name, content, expected in [("a.ckpt", torchscript, True), ("b.pt", CONTENT, False)]:
        (tmp_path / name).write_bytes(content)
        assert is_torchscript(tmp_path / name) is expected
    with zipfile.ZipFile(tmp_path / "c.pt", "w") as archive:
        archive.writestr("toy/data.pkl", b"")
    assert not is_torchscript(tmp_path / "c.pt")


def test_torchscript_without_checksum_is_refused(store, tmp_path, torchscript):
    put(store, content=torchscript)
    with pytest.raises(WeightsCorruptError, match="TorchScript of unknown checksum") as caught:
        store.verified(spec_of(md5=None))
    assert str(tmp_path) not in caught.value.detail


def test_torchscript_as_an_alternative_is_refused(store, torchscript):
    put(store, "toy.ckpt", torchscript)
    with pytest.raises(WeightsCorruptError, match="TorchScript"):
        store.verified(spec_of(alternatives=["toy.ckpt"]))


def test_torchscript_without_checksum_loads_where_it_is_trusted(store, tmp_path, torchscript):
    path = put(store, content=torchscript)
    assert WeightsStore(tmp_path, trust_unverified=True).verified(spec_of(md5=None)) == [path]


def test_torchscript_with_its_checksum_loads(store, torchscript):
    path = put(store, content=torchscript)
    md5 = hashlib.md5(torchscript, usedforsecurity=False).hexdigest()
    assert store.verified(spec_of(md5=md5)) == [path]


def test_trust_does_not_excuse_a_wrong_checksum(store, tmp_path, torchscript):
    put(store, content=torchscript)
    with pytest.raises(WeightsCorruptError):
        WeightsStore(tmp_path, trust_unverified=True).verified(spec_of())


def test_damaged_archive_without_checksum_is_corrupt(store):
    put(store, content=b"PK\x05\x06".ljust(22, b"\xff"))
    with pytest.raises(WeightsCorruptError):
        store.verified(spec_of(md5=None))


def test_missing_extra_comes_before_missing_weights(store, monkeypatch):
    monkeypatch.setitem(EXTRA_PACKAGES, "erase", ("no_package_is_called_so",))
    monkeypatch.setattr(
        "deployments.weights.store.is_extra_installed", is_extra_installed.__wrapped__
    )
    spec = spec_of(extra="erase")
    assert store.state(spec) is ModelState.EXTRA_MISSING
    with pytest.raises(ExtraMissingError, match=r"inpaint-serve\[erase\]"):
        store.verified(spec)


def test_no_extra_is_always_installed():
    assert is_extra_installed(None)
