"""Hub repositories: which files a loader reads, and whether a snapshot on disk has them all."""

import json
from pathlib import Path

import pytest

from deployments.weights import WeightsStore
from deployments.weights.hub import UNFINISHED, components_of
from deployments.weights.hub_files import is_complete, wanted_files
from inpaint.catalog import Catalog
from inpaint.errors import WeightsMissingError
from inpaint.resources import configs_dir
from inpaint.specs import HubRepository, ModelSpec
from inpaint.states import ModelState

COMMIT = "a" * 40
INDEX = {
    "_class_name": "StableDiffusionInpaintPipeline",
    "_diffusers_version": "0.6.0",
    "feature_extractor": ["transformers", "CLIPFeatureExtractor"],
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
COMPONENTS = {"feature_extractor", "scheduler", "text_encoder", "tokenizer", "unet", "vae"}
SMALL = [
    "model_index.json",
    "feature_extractor/preprocessor_config.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "vae/config.json",
]
FP16 = [
    "text_encoder/model.fp16.safetensors",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "vae/diffusion_pytorch_model.fp16.safetensors",
]
FULL = [name.replace(".fp16", "") for name in FP16]
PICKLES = [
    "text_encoder/pytorch_model.bin",
    "unet/diffusion_pytorch_model.bin",
    "vae/diffusion_pytorch_model.bin",
]
NEVER = [
    ".gitattributes",
    "README.md",
    "inpainting.png",
    "handler.py",
    "sd-v1-5-inpainting.ckpt",
    "sd-v1-5-inpainting.safetensors",
    "safety_checker/config.json",
    "safety_checker/model.fp16.safetensors",
    "text_encoder/flax_model.msgpack",
    "text_encoder/tf_model.h5",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_flax_model.msgpack",
    "vae_1_0/diffusion_pytorch_model.fp16.safetensors",
    "vae_decoder/model.onnx",
]


def repository(**more):
    return HubRepository.model_validate({"repo_id": "org/name"} | more)


@pytest.mark.parametrize(
    ("present", "variant", "expected"),
    [
        (FP16 + FULL + PICKLES, "fp16", FP16),
        (FP16 + FULL + PICKLES, None, FULL),
        (FULL + PICKLES, "fp16", FULL),
        (PICKLES, "fp16", PICKLES),
        (FP16[:2] + FULL, "fp16", [*FP16[:2], FULL[2]]),
        (FULL[:1] + PICKLES, "fp16", [FULL[0], *PICKLES[1:]]),
    ],
)
def test_one_set_of_weights_is_fetched_for_each_component(present, variant, expected):
    chosen = wanted_files(SMALL + present + NEVER, repository(variant=variant), COMPONENTS)
    assert chosen == sorted(SMALL + expected)


@pytest.mark.parametrize(
    ("before", "after"),
    [(".fp16", ""), ("", ".fp16")],
)
def test_shards_are_fetched_with_their_index(before, after):
    stem = "unet/diffusion_pytorch_model"
    shards = [f"{stem}{before}-0000{n}-of-00002{after}.safetensors" for n in (1, 2)]
    index = f"{stem}.safetensors.index.fp16.json"
    others = [f"{stem}.safetensors", f"{stem}.safetensors.index.json", f"{stem}.bin.index.json"]
    chosen = wanted_files([*shards, index, *others], repository(), {"unet"})
    assert chosen == sorted([*shards, index])


def test_repository_that_is_no_pipeline_has_its_weights_at_the_top():
    names = ["config.json", "diffusion_pytorch_model.bin"]
    chosen = ["config.json", "diffusion_pytorch_model.fp16.safetensors"]
    assert wanted_files({*names, *chosen}, repository(), None) == chosen


def test_patterns_narrow_what_is_fetched():
    asked = repository(allow_patterns=["unet/*", "model_index.json", "extra/weights.pth"])
    paths = [*SMALL, *FP16, "extra/weights.pth", "extra/other.pth"]
    assert wanted_files(paths, asked, COMPONENTS) == [
        "extra/weights.pth",
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
    ]


@pytest.mark.parametrize("weights", [FP16, FULL, PICKLES, [*FP16[:1], *FULL[1:]]])
def test_snapshot_with_every_component_is_complete(weights):
    assert is_complete(SMALL + weights, repository(), COMPONENTS)


@pytest.mark.parametrize(
    "missing",
    [
        "feature_extractor/preprocessor_config.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.fp16.safetensors",
        "tokenizer/merges.txt",
        "tokenizer/tokenizer_config.json",
        "tokenizer/vocab.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
    ],
)
def test_snapshot_without_a_part_is_not_complete(missing):
    assert not is_complete({*SMALL, *FP16} - {missing}, repository(), COMPONENTS)


def test_snapshot_with_half_of_the_shards_is_not_complete():
    shards = [f"unet/diffusion_pytorch_model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    paths = ["unet/config.json", *shards]
    assert is_complete(paths, repository(), {"unet"})
    assert not is_complete(paths[:2], repository(), {"unet"})


def test_variant_that_nobody_asked_for_is_not_enough():
    paths = ["unet/config.json", "unet/diffusion_pytorch_model.non_ema.safetensors"]
    assert not is_complete(paths, repository(), {"unet"})
    paths = ["unet/config.json", "unet/diffusion_pytorch_model.fp16.safetensors"]
    assert not is_complete(paths, repository(variant=None), {"unet"})


def test_component_that_no_pattern_allows_need_not_be_there():
    asked = repository(allow_patterns=["unet/*"])
    assert is_complete({*SMALL[-2:], *FP16[1:2]}, asked, COMPONENTS)


def test_files_that_are_asked_for_by_name_must_be_there():
    asked = repository(allow_patterns=["a.pth", "b.pth"])
    assert is_complete({"a.pth", "b.pth"}, asked, None)
    assert not is_complete({"a.pth"}, asked, None)


def test_network_at_the_top_needs_its_config_and_weights():
    paths = {"config.json", "diffusion_pytorch_model.safetensors"}
    assert is_complete(paths, repository(), None)
    for missing in paths:
        assert not is_complete(paths - {missing}, repository(), None)
    assert not is_complete(set(), repository(), None)


FOLDERS = ["Net/config.json", "Net/diffusion_pytorch_model.fp16.safetensors",
           "tokenizer/tokenizer_config.json", "tokenizer/vocab.json",
           "tokenizer/merges.txt"]  # fmt: skip


@pytest.mark.parametrize("components", [None, frozenset({"unet"})])
def test_folders_that_are_asked_for_by_name_are_taken_and_must_be_whole(components):
    """Whether or not an index of the repository names them."""
    asked = repository(allow_patterns=["Net/*", "tokenizer/*"])
    others = ["Net/diffusion_pytorch_model.safetensors", "unet/config.json", "Net.py", "main.py"]
    assert wanted_files([*FOLDERS, *others], asked, components) == sorted(FOLDERS)
    assert is_complete(FOLDERS, asked, components)
    assert is_complete([*FOLDERS[:1], others[0], *FOLDERS[2:]], asked, components)
    for missing in FOLDERS:
        assert not is_complete({*FOLDERS} - {missing}, asked, components)


@pytest.mark.parametrize("suffix", [".fp16.safetensors", ".safetensors", ".fp16.bin", ".bin"])
def test_network_that_is_asked_for_by_patterns_is_whole_with_any_of_its_weights(suffix):
    asked = repository(allow_patterns=["config.json", "diffusion_pytorch_model*"])
    paths = {"config.json", f"diffusion_pytorch_model{suffix}"}
    assert wanted_files([*paths, "v2/config.json", "README.md"], asked, None) == sorted(paths)
    assert is_complete(paths, asked, None)
    assert not is_complete({"config.json"}, asked, None)


PUBLISHED = json.loads(
    (Path(__file__).parents[1] / "data/hub_repositories.json").read_text(encoding="utf-8")
)["repositories"]
CATALOG = Catalog.read(configs_dir())


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_published_is_fetched_as_far_as_it_is_read_and_is_whole_then(name):
    spec = CATALOG.adapter(name) or CATALOG.get(name)
    files, read = PUBLISHED[name]["files"], PUBLISHED[name]["read"]
    components = frozenset() if "model_index.json" in files else None
    assert wanted_files(files, spec.repository, components) == sorted(read)
    assert is_complete(read, spec.repository, components)
    needed = [name for name in read if not name.endswith("special_tokens_map.json")]
    for missing in needed:
        assert not is_complete(set(read) - {missing}, spec.repository, components), missing


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_index_that_is_none_names_no_components(tmp_path, content):
    (tmp_path / "model_index.json").write_text(content)
    assert components_of(tmp_path / "model_index.json") is None


def spec_of(**more):
    return ModelSpec.model_validate(
        {
            "name": "toy",
            "family": "SD15",
            "kind": "erase",
            "runner": "some.module:Toy",
            "licence": {"name": "MIT"},
            "memory_mb": 1,
            "repository": {"repo_id": "org/name", "mirrors": ["other/copy"]} | more,
        }
    )


def put_snapshot(model_dir, repo_id="org/name", names=(*SMALL, *FP16), revision="main"):
    """A repository as huggingface_hub keeps it: references, and links to blobs."""
    folder = model_dir / "huggingface/hub" / f"models--{repo_id.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / revision).write_text(COMMIT)
    (folder / "blobs").mkdir()
    for number, name in enumerate(names):
        blob = folder / "blobs" / str(number)
        blob.write_text(json.dumps(INDEX) if name == "model_index.json" else "12345")
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(blob)
    return snapshot


def test_repository_is_found_where_iopaint_keeps_it(tmp_path):
    store = WeightsStore(tmp_path)
    assert store.state(spec_of()) is ModelState.MISSING
    assert store.size_on_disk(spec_of()) is None
    snapshot = put_snapshot(tmp_path)
    assert store.state(spec_of()) is ModelState.DOWNLOADED
    assert store.verified(spec_of()) == [snapshot]
    size = len(json.dumps(INDEX)) + 5 * (len(SMALL + FP16) - 1)
    assert store.size_on_disk(spec_of()) == size


def test_mirror_is_found_where_the_repository_is_not(tmp_path):
    mirror = put_snapshot(tmp_path, "other/copy")
    assert WeightsStore(tmp_path).verified(spec_of()) == [mirror]
    own = put_snapshot(tmp_path)
    assert WeightsStore(tmp_path).verified(spec_of()) == [own]


def test_whole_mirror_is_taken_before_half_a_repository(tmp_path):
    put_snapshot(tmp_path, names=SMALL)
    mirror = put_snapshot(tmp_path, "other/copy")
    assert WeightsStore(tmp_path).verified(spec_of()) == [mirror]


def test_revision_is_a_branch_or_a_commit(tmp_path):
    snapshot = put_snapshot(tmp_path, revision="fp16")
    store = WeightsStore(tmp_path)
    assert store.state(spec_of()) is ModelState.MISSING
    assert store.verified(spec_of(revision="fp16")) == [snapshot]
    assert store.verified(spec_of(revision=COMMIT)) == [snapshot]


@pytest.mark.parametrize("reference", ["", "..", "../../..", "b" * 40, "\0"])
def test_reference_that_leads_nowhere_finds_nothing(tmp_path, reference):
    snapshot = put_snapshot(tmp_path)
    (snapshot.parents[1] / "refs/main").write_text(reference)
    assert WeightsStore(tmp_path).state(spec_of()) is ModelState.MISSING


def test_link_to_a_blob_that_is_not_there_is_no_file(tmp_path):
    snapshot = put_snapshot(tmp_path)
    (snapshot / "unet/config.json").resolve().unlink()
    assert WeightsStore(tmp_path).state(spec_of()) is ModelState.MISSING


def test_interrupted_fetch_is_missing_until_it_is_ended(tmp_path):
    snapshot = put_snapshot(tmp_path)
    mark = snapshot.parents[1] / UNFINISHED
    mark.touch()
    store = WeightsStore(tmp_path)
    with pytest.raises(WeightsMissingError, match=r"`python main\.py download --model=toy`"):
        store.verified(spec_of())
    mark.unlink()
    assert store.verified(spec_of()) == [snapshot]


@pytest.mark.parametrize("repo_id", ["name", "../name", "org/../x", "a/b/c", "https://x/y"])
def test_repository_id_is_two_names(repo_id):
    with pytest.raises(ValueError, match="repo_id"):
        repository(repo_id=repo_id)
