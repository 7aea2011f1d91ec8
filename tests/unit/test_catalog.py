"""The catalog: models from YAML files, and the rules of their entries."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inpaint.catalog import Catalog, CatalogError
from inpaint.errors import UnknownModelError
from inpaint.resources import configs_dir
from inpaint.specs import FixedTiling, ModelSpec, SizeRule, StrategyTiling, WeightFile

ENTRY = {
    "name": "toy",
    "family": "Erase",
    "kind": "erase",
    "runner": "some.module:Toy",
    "licence": {"name": "MIT"},
    "memory_mb": 1,
}


def spec(name, **more):
    return ModelSpec.model_validate(ENTRY | {"name": name} | more)


def write(folder, name, **more):
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(ENTRY | {"name": name} | more), encoding="utf-8")
    return path


def test_catalog_finds_by_name_and_alias():
    toy = spec("toy", aliases=["someone/toy"])
    catalog = Catalog([toy, spec("other")])
    assert catalog.get("toy") is catalog.get("someone/toy") is toy
    assert "someone/toy" in catalog
    assert "nobody/toy" not in catalog


def test_catalog_names_what_would_have_worked():
    catalog = Catalog([spec("toy"), spec("other")])
    with pytest.raises(UnknownModelError, match=r"'tow'\. Known: other, toy\.$"):
        catalog.get("tow")


def test_catalog_does_not_echo_a_long_name():
    with pytest.raises(UnknownModelError) as caught:
        Catalog([spec("toy")]).get("x" * 10_000)
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize(
    "specs",
    [
        [spec("toy"), spec("toy")],
        [spec("toy"), spec("other", aliases=["toy"])],
        [spec("a", aliases=["c"]), spec("b", aliases=["c"])],
        [spec("toy", aliases=["toy"])],
    ],
)
def test_catalog_refuses_a_name_used_twice(specs):
    with pytest.raises(CatalogError, match="is used twice"):
        Catalog(specs)


def test_catalog_selects_by_family_or_by_name():
    catalog = Catalog([spec("a"), spec("b", family="Special"), spec("c", aliases=["x/c"])])
    assert [found.name for found in catalog.select("Erase", None)] == ["a", "c"]
    assert [found.name for found in catalog.select("Erase", ["x/c", "b"])] == ["c", "b"]
    assert catalog.select("Erase", []) == ()
    with pytest.raises(UnknownModelError):
        catalog.select("Erase", ["d"])


def test_catalog_reads_every_yaml_of_its_folders(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    write(first, "b")
    write(first, "a")
    write(second, "c")
    (second / "notes.txt").write_text("no model")
    assert [found.name for found in Catalog.from_dirs([first, second]).models] == ["a", "b", "c"]


def test_catalog_names_a_missing_folder(tmp_path):
    with pytest.raises(CatalogError, match="nowhere does not exist"):
        Catalog.from_dirs([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"- a list",
        b"name: [unclosed",
        b"name: toy\nfamily: Erase\n",
        b"name: \xff\xfe",
        b"name: a\x00b",
    ],
)
def test_catalog_names_a_wrong_file(tmp_path, content):
    path = tmp_path / "wrong.yaml"
    path.write_bytes(content)
    with pytest.raises(CatalogError, match=r"wrong\.yaml: "):
        Catalog.from_dirs([tmp_path])


def test_catalog_of_the_shipped_configs_is_valid():
    catalog = Catalog.from_dirs([configs_dir() / "models"])
    assert {"lama", "cv2"} <= {found.name for found in catalog.models}


def test_shipped_config_files_are_called_as_their_models():
    for path in (configs_dir() / "models").glob("*.yaml"):
        name = yaml.safe_load(path.read_text(encoding="utf-8"))["name"]
        assert name.replace("/", "--") == path.stem


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"},
        {"kind": "unknown"},
        {"runner": "some.module.Toy"},
        {"runner": "some.module:lower"},
        {"name": " words"},
        {"name": "two\nlines"},
        {"name": "größer"},
        {"name": "../toy"},
        {"aliases": ["a/b/c"]},
        {"memory_mb": -1},
        {"size": {"multiple_of": 0}},
        {"size": {"maximum": 9}},
        {"tiling": {"rule": "fixed", "size": 0}},
        {"tiling": {"rule": "other"}},
        {"weights": [{"env": "lower", "url": "u"}]},
        {"weights": [{"env": "TOY", "url": "u", "md5": "ABC"}]},
        {"extra": "nonsense"},
    ],
    ids=repr,
)
def test_spec_refuses(change):
    with pytest.raises(ValidationError):
        ModelSpec.model_validate(ENTRY | change)


def test_spec_does_not_change():
    toy = spec("toy")
    with pytest.raises(ValidationError):
        toy.name = "other"


@pytest.mark.parametrize(
    ("tiling", "expected"),
    [
        (None, StrategyTiling()),
        ({"rule": "strategy"}, StrategyTiling()),
        ({"rule": "fixed"}, FixedTiling(size=512, margin=128)),
        ({"rule": "fixed", "size": 256, "margin": 0}, FixedTiling(size=256, margin=0)),
    ],
)
def test_spec_reads_its_tiling(tiling, expected):
    assert spec("toy", **({} if tiling is None else {"tiling": tiling})).tiling == expected


def test_spec_takes_a_checksum_in_hex_only():
    file = WeightFile(env="TOY", url="https://example.org/toy.pt", md5="0" * 32)
    assert file.alternatives == ()
    with pytest.raises(ValidationError):
        WeightFile(env="TOY", url="u", md5="g" * 32)


@pytest.mark.parametrize(
    ("rule", "given_size", "padded"),
    [
        (SizeRule(multiple_of=1), (17, 1), (17, 1)),
        (SizeRule(multiple_of=8), (17, 16), (24, 16)),
        (SizeRule(multiple_of=8, minimum=500), (1, 1), (504, 504)),
        (SizeRule(multiple_of=512, square=True), (512, 513), (1024, 1024)),
    ],
)
def test_size_rule_pads_up(rule, given_size, padded):
    assert rule.padded(given_size) == padded


@given(
    st.builds(
        SizeRule, multiple_of=st.integers(1, 600), minimum=st.integers(0, 600), square=st.booleans()
    ),
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
)
def test_size_rule_gives_the_smallest_size_that_it_allows(rule, size):
    height, width = rule.padded(size)
    assert height % rule.multiple_of == width % rule.multiple_of == 0
    assert min(height, width) >= rule.minimum
    assert not rule.square or height == width
    assert height >= size[0]
    assert width >= size[1]
    assert max(height, width) - rule.multiple_of < max(*size, rule.minimum)
    assert rule.padded((height, width)) == (height, width)
