"""What the user should know before the server starts: settings that do nothing, missing weights."""

from collections.abc import Iterable, Iterator

from inpaint.specs import Kind, ModelSpec, WeightsSpec
from inpaint.states import ModelState
from serve_app.cli.start_options import StartOptions

FOR_DIFFUSION = {
    "low_mem": "only diffusion models encode and decode in tiles",
    "cpu_offload": "only diffusion models move their weights between GPU and CPU",
    "cpu_textencoder": "only diffusion models have a text encoder",
    "disable_nsfw_checker": "only diffusion models have a checker",
}
CONTROLNET = ("enable_controlnet", "controlnet_method")


def notes(options: StartOptions, spec: ModelSpec, has_ocr: bool) -> Iterator[str]:
    """One sentence for each setting that changes nothing here.

    Args:
        options: what the user said.
        spec: the model that answers where a request names none.
        has_ocr: whether a family reads text.
    """
    yield from _on_computing(options, spec)
    if "enable_controlnet" not in spec.reads:
        for name in _given(options, CONTROLNET):
            yield f"{name}: {spec.name} takes no ControlNet; nothing changes for it."
    if options.ocr_device and not has_ocr:
        yield "--ocr-device: OCR is off without --enable-ocr; ignored."


def _on_computing(options: StartOptions, spec: ModelSpec) -> Iterator[str]:
    if options.no_half and "fp16" not in spec.precisions:
        yield f"--no-half: {spec.name} always runs in float32; nothing changes for it."
    is_on_cpu = options.serve_config is None and (options.device or "cpu") == "cpu"
    if spec.kind is Kind.DIFFUSION and is_on_cpu:
        for name in _given(options, ("cpu_offload", "cpu_textencoder")):
            yield f"{name}: everything runs on the CPU; ignored."
    if spec.kind is Kind.ERASE:
        for field, reason in FOR_DIFFUSION.items():
            for name in _given(options, (field,)):
                yield f"{name}: {reason}; nothing changes for {spec.name}."


def _given(options: StartOptions, fields: Iterable[str]) -> Iterator[str]:
    """The flags among these that were given and do not say false."""
    for field in fields:
        if getattr(options, field):
            yield f"--{field.replace('_', '-')}"


def note_on_weights(spec: WeightsSpec, state: ModelState, local_files_only: bool) -> Iterator[str]:
    """What becomes of a default model, or of its ControlNet, whose weights are not here."""
    if state is not ModelState.MISSING:
        return
    if local_files_only:
        yield (
            f"{spec.name}: its weights are missing, so who asks for it is answered 503. "
            f"`python main.py download --model={spec.name}` fetches them."
        )
    else:
        yield f"{spec.name}: its weights are missing; the server fetches them when it is asked."
