"""Random weights for `mat` from IOPaint's own class, in the file that IOPaint loads.

Run with the interpreter of IOPaint's environment, which knows nothing of this package:

    ~/peer/bin/python benchmarks/peer_weights/mat.py Places_512_FullData_G.pth

Equal weights in both programs should give equal pixels. IOPaint's replies change from request to
request, though: it drops features at random, with torch's global generator. Its reply is the one
that a `seed` gives here if torch.manual_seed(seed) comes right before its forward.
"""

import sys
from typing import Any

import torch

SEED = 0

COLOUR_SPREAD = 0.6
"""Standard deviation, in -1..1, of what each size adds to the colours; untouched weights would
leave 0..255 nearly everywhere."""

BIAS_SPREAD = 0.3
"""Of biases, and of the mean of w, which start as zeros or ones."""


def random_generator() -> Any:
    """IOPaint's generator with nothing left at zero, so that each tensor can show its effect."""
    from iopaint.model.mat import Generator  # type: ignore[import-not-found]

    torch.manual_seed(SEED)
    generator = Generator(z_dim=512, c_dim=0, w_dim=512, img_resolution=512, img_channels=3)
    with torch.no_grad():
        for name, tensor in generator.state_dict().items():
            if name.endswith((".bias", ".w_avg")):
                tensor.add_(torch.randn_like(tensor) * BIAS_SPREAD)
    balance_colours(generator.eval())
    return generator


def balance_colours(generator: Any) -> None:
    """Scale and shift the layers that make colours by what they answer to a picture of noise."""
    layers = [module for name, module in generator.named_modules() if name.endswith(".toRGB")]
    answers: list[torch.Tensor] = []
    hooks = [
        layer.conv.register_forward_hook(lambda *given: answers.append(given[2]))
        for layer in layers
    ]
    with torch.no_grad():
        picture = torch.rand(1, 3, 512, 512) * 2 - 1
        known = torch.ones(1, 1, 512, 512)
        known[:, :, 128:384, 128:384] = 0
        generator(picture, known, torch.randn(1, 512), torch.zeros(1, 0))
        for layer, answer in zip(layers, answers, strict=True):
            factor = COLOUR_SPREAD / answer.std((0, 2, 3))
            layer.conv.weight.mul_(factor[:, None, None, None])
            layer.bias.mul_(0.2).sub_(answer.mean((0, 2, 3)) * factor)
    for hook in hooks:
        hook.remove()


if __name__ == "__main__":
    torch.save(random_generator().state_dict(), sys.argv[1])
