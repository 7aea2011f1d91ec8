"""LaMa: the erase model for large holes, fully convolutional, so any picture size will do."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Self

import numpy as np
import torch
from torch import Tensor

from deployments.models import lama_openvino
from deployments.models.checkpoints import (
    StateDict,
    corrupt,
    fill_network,
    holds_torchscript,
    is_tensor,
    read_probed_torchscript,
    read_state_dict,
    read_torchscript,
)
from deployments.models.lama_network import LamaNetwork
from inpaint.arrays import Images, Masks
from inpaint.errors import ExtraMissingError
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

logger = logging.getLogger("ray.serve")

Network = Callable[[Tensor, Tensor], Tensor]
"""(N, 3, H, W) float RGB 0..1 and (N, 1, H, W) int64 mask of 0 and 1, to (N, 3, H, W) 0..1."""

PREFIXES = ("generator.model.", "model.model.", "generator.", "model.", "")
"""Where checkpoints keep the generator: the authors', spandrel's, and cut-down ones."""

FIRST_WEIGHT = "1.ffc.convl2l.weight"
"""The first convolution, (ngf, 4, 7, 7), which tells the prefix and the width."""

PROBE_PX = 16
"""The smallest side that the network takes: its bottleneck reflects 1 px of 16 / 8."""


class Lama:
    """big-lama and its kin, from IOPaint's TorchScript or as a state dict for our own network.

    Every mask pixel above 0 is a hole, as in IOPaint: also the faint ones that RESIZE makes.

    Args:
        network: what computes from now on.
        device: where its weights are.
        faster: what takes over once it is ready; a failure leaves everything as it is.
    """

    def __init__(
        self, network: Network, device: str, faster: Future[Network] | None = None
    ) -> None:
        self._network = network
        self._device = device
        self._faster = faster

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        """See InpaintModel.load. `spec.precisions` lets float32 only come here."""
        (path,) = weights
        load = load_torchscript if holds_torchscript(path) else read_network
        network = load(path, options.device)
        faster = start_engine(path, network, options) if wants_openvino(spec, options) else None
        return cls(network, options.device, faster)

    @torch.inference_mode()
    def forward(self, images: Images, masks: Masks, params: EraseParams) -> Images:
        """See InpaintModel.forward."""
        # Scaled by numpy as IOPaint does it: torch's division on CUDA differs in the last bit.
        # The permuted view keeps IOPaint's memory order too, on which convolutions run faster.
        scaled = torch.from_numpy(images.astype(np.float32) / 255).permute(0, 3, 1, 2)
        holes = torch.from_numpy((masks > 0).astype(np.int64))[:, None]
        painted = self._fastest()(scaled.to(self._device), holes.to(self._device))
        levels = painted.permute(0, 2, 3, 1).cpu().numpy() * 255
        # Truncated, not rounded: IOPaint's pixels are the reference.
        return np.clip(levels, 0, 255).astype(np.uint8, order="C")

    def _fastest(self) -> Network:
        if self._faster is not None and self._faster.done():
            if self._faster.exception() is None:
                self._network = self._faster.result()
            self._faster = None
        return self._network


def wants_openvino(spec: ModelSpec, options: LoadOptions) -> bool:
    """Whether the family's `engine` means OpenVINO here; it computes on CPUs only.

    Raises:
        ExtraMissingError: it is demanded and not installed.
    """
    if options.engine == "torch" or options.device != "cpu":
        return False
    if lama_openvino.is_installed():
        return True
    if options.engine == "openvino":
        raise ExtraMissingError(
            f"The model '{spec.name}' is configured for OpenVINO, which is not installed: "
            "pip install 'inpaint-serve[openvino]' on the server, or set `engine: torch`."
        )
    return False


def start_engine(path: Path, network: Network, options: LoadOptions) -> Future[Network]:
    """Get the OpenVINO engine ready on a thread of its own, while `network` goes on answering."""
    future: Future[Network] = Future()

    def make() -> None:
        try:
            engine = lama_openvino.open_engine(path, options.threads)
            check_agreement(engine, network)
            future.set_result(engine)
            logger.info("engine ready file=%s engine=openvino", path.name)
        except Exception as error:  # noqa: BLE001  whatever fails, the network that works stays
            logger.warning("engine failed file=%s error=%r", path.name, error)
            future.set_exception(error)

    Thread(target=make, name="lama-engine", daemon=True).start()
    return future


@torch.inference_mode()
def check_agreement(engine: Network, network: Network) -> None:
    """Raise ValueError unless both answer the same on noise, to a quarter of a level of 255."""
    noise = torch.Generator().manual_seed(0)
    for size in ((64, 48), (40, 88)):
        image = torch.rand((1, 3, *size), generator=noise)
        mask = torch.randint(0, 2, (1, 1, *size), generator=noise)
        if (difference := float((engine(image, mask) - network(image, mask)).abs().max())) > 1e-3:
            raise ValueError(f"the engine's answers are off by {difference:.3g} of 1")


def load_torchscript(path: Path, device: str) -> Network:
    """IOPaint's big-lama.pt; a small forward proves that it takes and answers what LaMa does."""
    image = torch.zeros(1, 3, PROBE_PX, PROBE_PX)
    mask = torch.ones(1, 1, PROBE_PX, PROBE_PX, dtype=torch.int64)
    module = read_probed_torchscript(
        path, "LaMa", lambda network: is_tensor(network(image, mask), image.shape)
    )
    return module.to(device)


def read_network(path: Path, device: str = "cpu") -> LamaNetwork:
    """Our own network from either format, as wide and as deep as the checkpoint has it."""
    tensors = (
        read_torchscript(path).state_dict() if holds_torchscript(path) else read_state_dict(path)
    )
    state = generator_of(tensors, path)
    first = state[f"model.{FIRST_WEIGHT}"]
    with torch.device("meta"):
        network = LamaNetwork(ngf=first.shape[0], blocks=count_blocks(state))
    fill_network(network, state, path, device)
    return network


def generator_of(state: StateDict, path: Path) -> StateDict:
    """The generator's tensors, named as in LamaNetwork; a discriminator's are left behind."""
    for prefix in PREFIXES:
        first = state.get(prefix + FIRST_WEIGHT)
        if first is not None and first.ndim == 4 and len(first):
            return {
                f"model.{key.removeprefix(prefix)}": value
                for key, value in state.items()
                if key.startswith(prefix)
            }
    raise corrupt(path, "it does not hold a LaMa generator.")


def count_blocks(state: StateDict) -> int:
    """How many FFC blocks the bottleneck has: only they have a `conv1` of their own."""
    return sum(key.endswith(".conv1.ffc.convl2l.weight") for key in state)
