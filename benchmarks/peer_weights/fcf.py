"""Random weights for `fcf` from IOPaint's own class, in the file that IOPaint loads.

Run with the interpreter of IOPaint's environment, which knows nothing of this package:

    ~/peer/bin/python benchmarks/peer_weights/fcf.py places_512_G.pth

Equal weights in both programs should give equal pixels.
"""

import sys
from typing import Any

import torch

SEED = 0

ARCHITECTURE = {"channel_base": 2**15, "channel_max": 512, "num_fp16_res": 4, "conv_clamp": 256}
"""What IOPaint builds the published network with."""

COLOUR_SPREAD = 0.25
"""Standard deviation, in -1..1, of what each size adds to the colours. Features grow about fourfold
with each fast Fourier block, so untouched weights would leave 0..255 nearly everywhere."""

BIAS_SPREAD = 0.3
"""Of what starts as zeros: biases, the mean of w, and the strength of the noise."""


def random_generator() -> Any:
    """IOPaint's generator with nothing left at zero, so that each tensor can show its effect."""
    from iopaint.model.fcf import Generator  # type: ignore[import-not-found]

    torch.manual_seed(SEED)
    generator = Generator(
        z_dim=512,
        c_dim=0,
        w_dim=512,
        img_resolution=512,
        img_channels=3,
        synthesis_kwargs=ARCHITECTURE,
        encoder_kwargs=ARCHITECTURE,
        mapping_kwargs={"num_layers": 2},
    )
    with torch.no_grad():
        for name, tensor in generator.state_dict().items():
            if name.endswith((".bias", ".noise_strength", ".w_avg")):
                tensor.add_(torch.randn_like(tensor) * BIAS_SPREAD)
    balance_colours(generator.eval())
    return generator


def balance_colours(generator: Any) -> None:
    """Scale and shift the layers that make colours by what they answer to a picture of noise."""
    layers = [module for name, module in generator.named_modules() if name.endswith(".torgb")]
    answers: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda *given: answers.append(given[2])) for layer in layers
    ]
    with torch.no_grad():
        picture = torch.rand(1, 4, 512, 512) * 2 - 1
        picture[:, :1] = 0.5 * picture[:, :1].sign()
        generator(picture, torch.zeros(1, 0), truncation_psi=0.1, noise_mode="none")
        for layer, answer in zip(layers, answers, strict=True):
            factor = COLOUR_SPREAD / answer.std()
            layer.weight.mul_(factor)
            layer.bias.sub_(answer.mean((0, 2, 3))).mul_(factor)
    for hook in hooks:
        hook.remove()


if __name__ == "__main__":
    torch.save(random_generator().state_dict(), sys.argv[1])
