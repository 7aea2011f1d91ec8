"""Files that are not what they should be, for every model that has any, through the replica.

The checksum of each bad file is stated here, as an operator would who trusts it: so what refuses
the file is its content. What a checksum refuses stands at the end, and in the unit tier.
"""

import asyncio
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from deployments.erase import EraseReplica
from deployments.family import FamilySetup
from inpaint.arrays import Size
from inpaint.errors import OutOfMemoryError, WeightsCorruptError
from inpaint.params import EraseParams
from inpaint.specs import ModelSpec
from tests.fakes import fake_spec
from tests.standins.catalog import checkpoints_of, erase_models, with_checksums, write_stand_ins
from tests.standins.damage import DAMAGES, PACKINGS, MakesFolder

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

SPECS = {spec.name: spec for spec in erase_models() if spec.weights}
FILES = [
    pytest.param(spec, index, id=f"{spec.name}-{file.url.rsplit('/')[-1]}")
    for spec in SPECS.values()
    for index, file in enumerate(spec.weights)
]


class Classifier(torch.nn.Module):
    """Takes one picture, as several of the networks do, and answers a figure for each channel."""

    def forward(self, image):
        return image.mean(dim=(2, 3))


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_stand_ins(folder, SPECS)
    return folder


@pytest.fixture
def own_dir(model_dir, tmp_path):
    """A copy of the models' files that a test may spoil."""
    shutil.copytree(model_dir, tmp_path, dirs_exist_ok=True)
    return tmp_path


def names_of(spec: ModelSpec) -> list[str]:
    return [Path(file.url).name for file in spec.weights]


def replica_of(model_dir: Path, *specs: ModelSpec) -> EraseReplica:
    async def report(what):
        pass

    setup = FamilySetup("Erase", specs, "cpu", model_dir=model_dir)
    replica = EraseReplica(setup, "replica-1", report)
    replica.reconfigure({"threads": 1})
    return replica


async def paint(replica: EraseReplica, model: str, size: Size = (32, 32)):
    """The replica's answer; fails rather than waits for ever."""
    image, mask = np.full((*size, 3), 99, np.uint8), np.zeros(size, np.uint8)
    mask[8:16, 8:16] = 255
    return await asyncio.wait_for(replica.paint(model, image, mask, EraseParams()), 60)


async def refusal_of(content: bytes, spec: ModelSpec, index: int, model_dir: Path) -> str:
    """What a client is told of `spec` when its file `index` has this content.

    Also makes sure that another model of the same replica answers then.
    """
    name = names_of(spec)[index]
    (checkpoints_of(model_dir) / name).write_bytes(content)
    replica = replica_of(model_dir, with_checksums(spec, model_dir), fake_spec("other"))
    with pytest.raises(WeightsCorruptError) as caught:
        await paint(replica, spec.name)
    assert (await paint(replica, "other")).batch == 1
    await replica.check_health()
    told = caught.value.detail
    assert str(model_dir) not in told
    return told


def says_why(told: str, name: str) -> bool:
    """Whether a message names the file, and a reason in a sentence of its own."""
    return re.search(rf"\b{re.escape(name)} cannot be used: [^:]+\.$", told) is not None


@pytest.mark.parametrize(("spec", "index"), FILES)
@pytest.mark.parametrize("spoil", DAMAGES.values(), ids=list(DAMAGES))
async def test_damaged_file_is_refused(own_dir, spec, index, spoil):
    name = names_of(spec)[index]
    good = (checkpoints_of(own_dir) / name).read_bytes()
    told = await refusal_of(spoil(good), spec, index, own_dir)
    assert says_why(told, name), told


@pytest.mark.parametrize(("spec", "index"), FILES)
async def test_file_of_another_model_is_refused(own_dir, spec, index):
    name = names_of(spec)[index]
    others = {
        file: (checkpoints_of(own_dir) / file).read_bytes()
        for other in SPECS.values()
        for file in names_of(other)
        if other.runner != spec.runner or (other is spec and file != name)
    }
    for file, content in others.items():
        told = await refusal_of(content, spec, index, own_dir)
        assert says_why(told, name), (file, told)


@pytest.mark.parametrize(("spec", "index"), FILES)
@pytest.mark.parametrize("kind", ["torchscript", "state-dict", "nothing", "no-dictionary"])
async def test_file_of_another_architecture_is_refused(own_dir, tmp_path, spec, index, kind):
    path = tmp_path / "foreign"
    if kind == "torchscript":
        torch.jit.script(Classifier()).save(path)
    elif kind == "state-dict":
        torch.save(torch.nn.Conv2d(4, 3, 3).state_dict(), path)
    else:
        torch.save({} if kind == "nothing" else [torch.zeros(1)], path)
    told = await refusal_of(path.read_bytes(), spec, index, own_dir)
    assert says_why(told, names_of(spec)[index]), told


@pytest.mark.parametrize(("spec", "index"), FILES)
@pytest.mark.parametrize("pack", PACKINGS.values(), ids=list(PACKINGS))
async def test_code_in_a_pickle_does_not_run(own_dir, tmp_path, spec, index, pack):
    """That the trap works is shown in test_lama_model.py."""
    trap = tmp_path / "trap"
    told = await refusal_of(pack(MakesFolder(trap)), spec, index, own_dir)
    assert not trap.exists()
    assert says_why(told, names_of(spec)[index]), told


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
async def test_files_that_are_not_the_published_ones_are_not_opened(model_dir, spec):
    """The stand-ins, under the checksums that are shipped."""
    with pytest.raises(WeightsCorruptError, match=r"MD5 is not [0-9a-f]{32}") as caught:
        await paint(replica_of(model_dir, spec), spec.name)
    assert names_of(spec)[0] in caught.value.detail


async def test_file_that_was_put_right_is_loaded_by_the_same_replica(own_dir):
    path = checkpoints_of(own_dir) / "erika.jit"
    good = path.read_bytes()
    replica = replica_of(own_dir, with_checksums(SPECS["manga"], own_dir))
    path.write_bytes(good[:-30])
    with pytest.raises(WeightsCorruptError, match=r"erika\.jit"):
        await paint(replica, "manga")
    path.write_bytes(good)
    assert (await paint(replica, "manga")).batch == 1


class Greedy(torch.nn.Module):
    """Fits LaMa's contract, and asks for 4 PB at pictures of over 32 px."""

    def forward(self, image, mask):
        if image.shape[2] > 32:
            return torch.zeros(1 << 50)
        return image * (1 - mask)


async def test_allocation_that_fails_inside_a_network_is_survived(own_dir):
    path = checkpoints_of(own_dir) / "big-lama.pt"
    torch.jit.script(Greedy()).save(path)
    replica = replica_of(own_dir, with_checksums(SPECS["lama"], own_dir))
    with pytest.raises(OutOfMemoryError, match=r"A tile of 64x64 px") as caught:
        await paint(replica, "lama", (64, 64))
    assert caught.value.status == 503
    await replica.check_health()
    assert (await paint(replica, "lama")).batch == 1
