"""Which device each family of the Serve config gets, and what follows from it."""

from collections.abc import Callable, Container, Iterable, Iterator

from inpaint.specs import Kind
from serve_app.cli.accelerators import Accelerators, Library
from serve_app.cli.start_config import Block, applications, deployment, families
from serve_app.cli.start_options import StartError, StartOptions

Look = Callable[[Iterable[Library]], Accelerators]

MAIN_SHARE, SIDE_SHARE = 0.6, 0.2
"""GPU shares: what may be used of its memory. The larger one is for a family that paints, and
where there is none, for the default model's."""
TURN_S = 60
"""Families that paint do not fit beside each other: one that was idle so long makes room."""

SEE_ALL_GPUS = "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"
"""Without it a replica sees the GPU that Ray chose, as cuda:0."""


def put_devices(
    document: Block, options: StartOptions, main_families: Container[str | None], look: Look
) -> None:
    """Write devices, GPU shares and precisions into a Serve config, in place.

    Args:
        document: made by `start_config.build`.
        options: what the user said.
        main_families: those that serve the default models.
        look: asks what the machine has; called only where a family is not to run on the CPU.

    Raises:
        StartError: a device is not there, whoever asked for it.
    """
    for _, family in _all(document):
        family.update(_placed(family, options))
    asked = [family for _, family in _all(document) if _is_to_be_found(family, options)]
    machine = look(sorted({_library(family) for family in asked})) if asked else None
    for app, family in _all(document):
        if machine is not None and family in asked:
            family["device"] = _found(family, options, machine)
        if _flag(family, options) is not None:
            gpus = machine.gpus if machine else 0
            is_main = _is_main(app, family, main_families)
            _set_share(app, family, is_main, gpus, keep=options.serve_config is not None)
        if family["kind"] != Kind.OCR:
            _set_precision(family, options)


def _all(document: Block) -> Iterator[tuple[Block, Block]]:
    for app in applications(document):
        for family in families(app):
            yield app, family


def _library(family: Block) -> Library:
    return "onnxruntime" if family["kind"] == Kind.OCR else "torch"


def _flag(family: Block, options: StartOptions) -> str | None:
    """What the user said, or IOPaint's default; None: a Serve config of the user's own decides."""
    default = "cpu" if options.serve_config is None else None
    return (options.ocr_device if family["kind"] == Kind.OCR else options.device) or default


def _placed(family: Block, options: StartOptions) -> Block:
    device = _flag(family, options)
    return {} if device is None else {"device": device}


def _is_to_be_found(family: Block, options: StartOptions) -> bool:
    device = family.get("device", "auto")
    if _paints(family) and _flag(family, options) is None:
        return False  # waits for a GPU, which another node may bring; see serve_app/capacity.py
    if device == "auto":  # of the Serve config: each replica finds out where it runs
        return _flag(family, options) is not None
    return bool(device != "cpu")


def _found(family: Block, options: StartOptions, machine: Accelerators) -> str:
    device = machine.resolve(family["device"], _library(family))
    reason = machine.refusal(device, _library(family))
    if reason is None:
        return device
    flag = "--ocr-device" if family["kind"] == Kind.OCR else "--device"
    source = flag if _flag(family, options) else f"The family '{family['deployment']}' with device"
    raise StartError(f"{source}={device}: {reason} {flag}=cpu works everywhere.")


def _is_main(app: Block, family: Block, main_families: Container[str | None]) -> bool:
    if any(_paints(other) for other in families(app)):
        return _paints(family)
    return family["deployment"] in main_families


def _paints(family: Block) -> bool:
    return bool(family["kind"] == Kind.DIFFUSION)


def _set_share(app: Block, family: Block, is_main: bool, gpus: int, keep: bool) -> None:
    """Reserve GPU memory for a family whose device the user chose, or give it back.

    Args:
        app: the application.
        family: one of its families.
        is_main: whether it gets the larger share.
        gpus: how many there are.
        keep: whether a share that is stated already stays.
    """
    entry = deployment(app, family["deployment"])
    actor = entry.setdefault("ray_actor_options", {})
    device = family["device"]
    if not device.startswith("cuda"):
        actor.pop("num_gpus", None)
        return
    share = MAIN_SHARE if is_main else SIDE_SHARE
    actor["num_gpus"] = actor.get("num_gpus", share) if keep else share
    scaling = entry.get("autoscaling_config")
    if scaling is not None and _paints(family) and not keep:
        scaling["downscale_delay_s"] = TURN_S
    is_one = ":" in device
    if scaling is not None:  # more replicas than GPUs would wait for a share for ever
        most = max(scaling.get("min_replicas", 1), 1 if is_one else gpus)
        scaling["max_replicas"] = min(scaling.get("max_replicas", 1), most)
    if is_one:
        runtime = actor.setdefault("runtime_env", {})
        runtime.setdefault("env_vars", {})[SEE_ALL_GPUS] = "1"


def _set_precision(family: Block, options: StartOptions) -> None:
    """Half precision on CUDA, for the models that allow it, unless the user refuses it."""
    if options.no_half:
        family["precision"] = "fp32"
    elif _flag(family, options) is None:
        return
    elif family["device"].startswith("cuda"):
        family.setdefault("precision", "fp16")
    elif family.get("precision") == "fp16":  # which a CPU has no arithmetic for
        del family["precision"]
