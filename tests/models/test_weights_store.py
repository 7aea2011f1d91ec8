"""Real files of torch and safetensors, as the store sees them."""

import warnings

import pytest
import torch
from safetensors.torch import save_file

from deployments.weights import WeightsStore, is_torchscript
from inpaint.errors import WeightsCorruptError
from tests.unit.test_weights_fetching import spec_of


class Twice(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


def write_script(path):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        torch.jit.script(Twice()).save(path)


NUMBERS = {"weight": torch.arange(4.0)}
WRITERS = {
    "script.pt": (write_script, True),
    "state.pth": (lambda path: torch.save(NUMBERS, path), False),
    "old.ckpt": (
        lambda path: torch.save(NUMBERS, path, _use_new_zipfile_serialization=False),
        False,
    ),
    "safe.safetensors": (lambda path: save_file(NUMBERS, path), False),
}


@pytest.mark.parametrize("name", WRITERS)
def test_code_is_told_from_numbers_in_every_format(tmp_path, monkeypatch, name):
    monkeypatch.delenv("TOY_MODEL_URL", raising=False)
    write, is_code = WRITERS[name]
    store = WeightsStore(tmp_path)
    store.checkpoints.mkdir(parents=True)
    path = store.checkpoints / name
    write(path)
    assert is_torchscript(path) is is_code
    spec = spec_of([{"env": "TOY", "url": f"https://example.org/{name}"}])
    if is_code:
        with pytest.raises(WeightsCorruptError, match="TorchScript of unknown checksum"):
            store.verified(spec)
    else:
        assert store.verified(spec) == [path]
