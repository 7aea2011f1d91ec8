"""What a checkpoint is, told by its head; damage, and pickles that would run code."""

import json
import pickle
import struct
import zipfile

import pytest

from deployments.weights.checkpoint_headers import read_shapes
from inpaint.checkpoint_shapes import NotAModelError, facts_of
from inpaint.specs import DiffusionFacts
from tests.checkpoint_heads import (
    pickled,
    refiner_shapes,
    sd2_shapes,
    sd15_shapes,
    sdxl_shapes,
    state_dict,
    write_ckpt,
    write_old_ckpt,
    write_safetensors,
)


@pytest.mark.parametrize("shapes", [sd15_shapes(9), sdxl_shapes(4)], ids=["sd15", "sdxl"])
def test_every_format_tells_the_same(tmp_path, shapes):
    write_safetensors(tmp_path / "a.safetensors", shapes)
    write_ckpt(tmp_path / "b.ckpt", pickled(state_dict(shapes)))
    write_old_ckpt(tmp_path / "c.ckpt", pickled(state_dict(shapes)))
    write_ckpt(tmp_path / "d.ckpt", pickled(state_dict(shapes)["state_dict"]))
    for path in sorted(tmp_path.iterdir()):
        assert read_shapes(path) == shapes, path.name


@pytest.mark.parametrize(
    ("shapes", "base", "inpainting"),
    [
        (sd15_shapes(4), "sd15", False),
        (sd15_shapes(9), "sd15", True),
        (sdxl_shapes(4), "sdxl", False),
        (sdxl_shapes(9), "sdxl", True),
    ],
)
def test_kinds_that_are_served(shapes, base, inpainting):
    expected = DiffusionFacts(base=base, inpainting=inpainting, is_single_file=True)
    assert facts_of(shapes) == expected


def without(shapes, start):
    return {name: shape for name, shape in shapes.items() if not name.startswith(start)}


@pytest.mark.parametrize(
    ("shapes", "word"),
    [
        (sd15_shapes(8), "InstructPix2Pix"),
        (sd15_shapes(5), "depth"),
        (sd2_shapes(), "Stable Diffusion 2"),
        (refiner_shapes(), "refiner"),
        (without(sd15_shapes(9), "first_stage"), "VAE"),
        (without(sd15_shapes(9), "cond_stage"), "text encoder"),
        ({"lora_unet_down.lora_down.weight": (4, 320)}, "LoRA"),
        ({}, "UNet"),
    ],
)
def test_kinds_that_are_not_served_say_what_they_are(shapes, word):
    with pytest.raises(NotAModelError, match=word):
        facts_of(shapes)


class Bomb:
    """Writes a file when it is unpickled in the ordinary way."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("write", [write_ckpt, write_old_ckpt])
def test_code_in_a_pickle_is_named_and_does_not_run(tmp_path, write):
    trap = tmp_path / "ran"
    content = pickle.dumps({"state_dict": {"a": Bomb(trap)}}, protocol=2)
    pickle.loads(content)["state_dict"]["a"].close()
    assert trap.exists()  # it is a trap indeed
    trap.unlink()
    write(tmp_path / "evil.ckpt", content)
    with pytest.raises(NotAModelError, match=r"io\.open.*safetensors"):
        read_shapes(tmp_path / "evil.ckpt")
    assert not trap.exists()


def call(module, name, *arguments):
    """A pickle that calls a function by its name."""
    return b"c" + f"{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR."


@pytest.mark.parametrize(
    "content",
    [
        call("os", "system", b"S'true'\n"),
        call("builtins", "eval", b"S'1'\n"),
        call("torch.storage", "_load_from_bytes", b"S''\n"),
        call("collections", "OrderedDict.update.__globals__", b""),
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}U\x08__call__K\x01sb.",  # sets an attribute
        b"\x80\x02r\xff\xff\xff\x7f.",  # claims two billion memo entries
        b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b".",  # claims 4 exabytes
        b"\x80\x02]q\x00h\x00h\x00a.",
        b"\x80\x02K\x01.",
        b"\x80\x63.",
        b"",
    ],
    ids=range(11),
)
def test_strange_pickles_are_refused_and_leave_nothing(tmp_path, content):
    write_ckpt(tmp_path / "strange.ckpt", content)
    with pytest.raises(NotAModelError):
        read_shapes(tmp_path / "strange.ckpt")
    write_ckpt(tmp_path / "good.ckpt", pickled(state_dict(sd15_shapes(9))))
    assert read_shapes(tmp_path / "good.ckpt") == sd15_shapes(9)


def header(entries):
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nothing of the kind",
        b"PK\x03\x04 but no zip",
        (2**63).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{]",
        header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}),  # cut off
        header({"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 0]}}),
        header({"a": [1]}),
        header([1]),
    ],
    ids=range(9),
)
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(NotAModelError):
        read_shapes(path)


def test_a_pickle_of_many_megabytes_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("archive/data.pkl", bytes(2**26 + 1))
    with pytest.raises(NotAModelError, match="damaged"):
        read_shapes(path)


def test_torchscript_is_no_checkpoint(tmp_path):
    path = tmp_path / "script.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled({}))
        archive.writestr("archive/constants.pkl", pickled({}))
    with pytest.raises(NotAModelError, match="TorchScript"):
        read_shapes(path)
