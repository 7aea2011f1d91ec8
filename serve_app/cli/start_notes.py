"""What the user should know before the server starts: settings that do nothing, missing weights."""

from collections.abc import Iterator

from inpaint.specs import Kind, ModelSpec
from inpaint.states import ModelState
from serve_app.cli.start_options import StartOptions

FOR_DIFFUSION = {
    "low_mem": "only diffusion models encode and decode in tiles",
    "cpu_offload": "only diffusion models move their weights between GPU and CPU",
    "cpu_textencoder": "only diffusion models have a text encoder",
    "disable_nsfw_checker": "only diffusion models have a checker",
}


def notes(options: StartOptions, spec: ModelSpec, has_ocr: bool) -> Iterator[str]:
    """One sentence for each setting that changes nothing here.

    Args:
        options: what the user said.
        spec: the model that answers where a request names none.
        has_ocr: whether a family reads text.
    """
    if options.no_half and "fp16" not in spec.precisions:
        yield f"--no-half: {spec.name} always runs in float32; nothing changes for it."
    if spec.kind is Kind.DIFFUSION and (options.device or "cpu") == "cpu":
        for name in ("cpu_offload", "cpu_textencoder"):
            if getattr(options, name) and options.serve_config is None:
                yield f"--{name.replace('_', '-')}: everything runs on the CPU; ignored."
    if spec.kind is Kind.ERASE:
        for name, reason in FOR_DIFFUSION.items():
            if getattr(options, name):
                yield f"--{name.replace('_', '-')}: {reason}; nothing changes for {spec.name}."
    if options.ocr_device and not has_ocr:
        yield "--ocr-device: OCR is off without --enable-ocr; ignored."


def note_on_weights(spec: ModelSpec, state: ModelState, local_files_only: bool) -> Iterator[str]:
    """What becomes of a default model whose weights are not here."""
    if state is not ModelState.MISSING:
        return
    if local_files_only:
        yield (
            f"{spec.name}: its weights are missing, so it will answer 503. "
            f"`python main.py download --model={spec.name}` fetches them."
        )
    else:
        yield f"{spec.name}: its weights are missing; the server fetches them when it is asked."
