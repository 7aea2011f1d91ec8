"""One request of POST /v1/images/edits: read, turned into orders, and run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from python_multipart.multipart import parse_options_header

from inpaint import codecs
from inpaint.arrays import Size
from inpaint.codecs import Limits
from inpaint.deadlines import Deadline
from inpaint.errors import ParamsError, RequestError
from inpaint.examples import EXAMPLE
from inpaint.jobs import DiffusionOrder, EraseOrder, Holes, Result
from inpaint.params import SEED_MAX
from serve_app import bodies
from serve_app.accounts import Account
from serve_app.bodies import Body, Value
from serve_app.gateway import Gateway
from serve_app.openai.fields import EditFields
from serve_app.orders import (
    SD_SEED,
    SEED,
    FindModel,
    InpaintFields,
    read_fields,
    strict_order,
)
from serve_app.progress import Watcher
from serve_app.requests import JSON

IMAGE, IMAGES, MASK, PROMPT = "image", "images", "mask", "prompt"
IMAGE_LIST = "image[]"
"""What OpenAI's clients call the files of a list of pictures in a form."""
FILES = frozenset({IMAGE, IMAGE_LIST, MASK, EXAMPLE})
OURS_ELSEWHERE = {"format": "output_format"}
"""Fields of POST /inpaint that have another name here."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What is asked for."""

    fields: EditFields
    parameters: Mapping[str, Value]
    """Other fields, as of POST /inpaint."""
    files: Mapping[str, bytes | memoryview]
    """image, mask (maybe the picture itself), and an example picture where one was sent."""
    size: Size
    """(height, width) of the upright picture."""

    def body(self) -> Body:
        """A body for the gateway, which takes the files out of it."""
        return Body(dict(self.files), {"model": self.fields.model})

    def order(self, body: Body, find: FindModel, deadline: Deadline) -> EraseOrder | DiffusionOrder:
        """An OrderReader. Nothing but the prompt is left out where the model does not read it."""
        found = find(self.fields.model)
        common = InpaintFields(format=self.fields.format, quality=self.fields.encoder_quality)
        prompt = {PROMPT: self.fields.prompt} if PROMPT in found.spec.reads else {}
        return strict_order(found, common, {**self.parameters, **prompt}, body, deadline)

    def seeded(self, seed: int) -> "Edit":
        """The same with another seed."""
        others = {name: value for name, value in self.parameters.items() if name != SD_SEED}
        return replace(self, parameters={**others, SEED: seed})


def read_edit(content_type: str, body: bytes, limits: Limits) -> Edit:
    """Take a form or JSON apart. Runs on a thread: base64 takes time.

    Raises:
        UnsupportedMediaError, RequestError: it is neither.
        ParamsError: a field is missing or wrong.
        ImageDecodeError, ImageTooLargeError: by the picture's first bytes.
    """
    is_json = parse_options_header(content_type)[0] == JSON.encode()
    sent = _from_json(body) if is_json else bodies.parse(content_type, body, FILES)
    _one_picture(sent)
    image = sent.take(IMAGE, "a picture")
    files = {IMAGE: image, MASK: sent.files.get(MASK) or image}
    if example := sent.files.get(EXAMPLE):
        files[EXAMPLE] = example
    values = {name: value for name, value in sent.fields.items() if value is not None}
    fields, parameters = read_fields(EditFields, values)
    for name, right in OURS_ELSEWHERE.items():
        if name in parameters:
            raise ParamsError(f"The field '{name}' is called '{right}' here.", {"param": name})
    size = codecs.read_size(image, limits)
    fields.check(size)
    return Edit(fields, parameters, files, size)


def _one_picture(sent: Body) -> None:
    """Call the only picture by its name, wherever it came."""
    in_list = sent.files.pop(IMAGE_LIST, None)
    if sent.repeated & {IMAGE, IMAGE_LIST} or (in_list is not None and IMAGE in sent.files):
        raise _many()
    if in_list is not None:
        sent.files[IMAGE] = in_list


def _from_json(body: bytes) -> Body:
    """OpenAI's JSON: `images` and `mask` are {"image_url": "data:..."}. `image` is ours."""
    content = bodies.load_json(body)
    if not isinstance(content, dict):
        raise RequestError("The body must be a JSON object with the fields of the request.")
    sent = Body()
    images = content.pop(IMAGES, None)
    if images is not None:
        if not isinstance(images, list) or IMAGE in content:
            raise ParamsError(
                "The field 'images' must be a list of one picture.", {"param": IMAGES}
            )
        if len(images) > 1:
            raise _many()
        content[IMAGE] = images[0] if images else None
    for name in (IMAGE, MASK, EXAMPLE):
        value = content.pop(name, None)
        if value is not None:
            sent.files[name] = bodies.from_base64(name, _url_of(name, value))
    sent.fields = content
    return sent


def _url_of(name: str, value: object) -> object:
    if not isinstance(value, dict):
        return value
    if "file_id" in value:
        raise ParamsError(
            f"The field '{name}' names a file by its id, and no files are stored here; send "
            "its bytes as a data: URL in 'image_url'.",
            {"param": name},
        )
    return value.get("image_url")


def _many() -> ParamsError:
    return ParamsError(
        "A request edits one picture; send the others on their own.", {"param": IMAGE}
    )


async def run_edit(
    gateway: Gateway,
    account: Account,
    edit: Edit,
    deadline: Deadline,
    watch: Watcher | None = None,
) -> Result:
    """One picture; see Gateway.inpaint."""
    holes = Holes.TRANSPARENT
    return await gateway.inpaint(account, edit.body(), deadline, edit.order, watch, holes)


async def run_edits(
    gateway: Gateway, account: Account, edit: Edit, deadline: Deadline
) -> list[Result]:
    """All `n` pictures, one after the other, so that one request takes one place in a queue.

    Each has the seed of the one before it plus 1. A model without a seed would paint the same again
    and is asked once.
    """
    first = await run_edit(gateway, account, edit, deadline)
    if not _has_seed(gateway, first.model):
        return [first] * edit.fields.n
    results = [first]
    for number in range(1, edit.fields.n):
        seed = (first.seed + number) % (SEED_MAX + 1)
        results.append(await run_edit(gateway, account, edit.seeded(seed), deadline))
    account.tiles = sum(result.tiles for result in results)
    return results


def _has_seed(gateway: Gateway, model: str) -> bool:
    return any(spec.name == model and SEED in spec.reads for spec in gateway.erasers)
