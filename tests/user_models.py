"""What a user writes to add a TorchScript model: a YAML file, a Python file, and the weights."""

from pathlib import Path

from tests.standins import md5_of, save_traced
from tests.standins.catalog import checkpoints_of

NAME = "tenth"
LEVEL = 51
"""What the model paints: 0.2 of 255."""

RUNNER = '''
"""Fills the hole with the grey that a TorchScript file holds."""

import numpy as np
import torch

from deployments.models.checkpoints import is_tensor, read_probed_torchscript


class Grey:
    def __init__(self, network):
        self.network = network

    @classmethod
    def load(cls, spec, weights, options):
        image = torch.zeros(1, 3, 8, 8)
        return cls(
            read_probed_torchscript(
                weights[0], "the grey", lambda network: is_tensor(network(image), image.shape)
            )
        )

    @torch.inference_mode()
    def forward(self, images, masks, params):
        scaled = torch.from_numpy(images.astype(np.float32) / 255).permute(0, 3, 1, 2)
        painted = self.network(scaled).permute(0, 2, 3, 1).numpy() * 255
        return painted.round().astype(np.uint8)
'''

YAML = """
name: {name}
family: Erase
kind: erase
runner: tenth_model:Grey
description: Grey.
licence: {{name: MIT, commercial_use: true}}
extra: erase
weights:
  - {{env: TENTH, url: "https://example.org/tenth.pt", md5: {md5}}}
size: {{multiple_of: 8}}
batchable: true
memory_mb: 1
"""


def write_user_model(folder: Path, model_dir: Path) -> None:
    """The two files into `folder`, the weights into `model_dir`."""
    import torch

    class Constant(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.level = torch.nn.Parameter(torch.tensor(0.2))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return 0 * image + self.level

    weights = checkpoints_of(model_dir) / "tenth.pt"
    save_traced(Constant(), (torch.zeros(1, 3, 8, 8),), weights)
    (folder / "tenth_model.py").write_text(RUNNER)
    (folder / "tenth.yaml").write_text(YAML.format(name=NAME, md5=md5_of(weights)))
