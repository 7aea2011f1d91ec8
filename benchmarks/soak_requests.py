"""The requests of the soak: every family, every format, several sizes, errors, people who leave."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import cv2
import httpx
import numpy as np

from benchmarks import pictures
from benchmarks.text_scenes import PHRASES
from inpaint.arrays import Image, Mask
from tests.pages import write
from tests.serve.checkpoints import SD15, SDXL
from tests.serve.special_checkpoints import PAINT_BY_EXAMPLE

Send = Callable[[httpx.AsyncClient, int], Awaitable[int]]
"""Sends the request of a number; the status of its answer."""
LEFT = 499
"""The status of a request whose client left."""
TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request."""

    name: str
    share: int
    """How many of a round are of this kind."""
    expected: frozenset[int]
    send: Send


def kinds() -> Sequence[Kind]:
    """All kinds; a round of them has a request for each share."""
    erase = [
        _posts(f"erase {model}", 3, _form(size, "png", model=model))
        for model, size in (
            ("lama", (300, 420)),
            ("anime-lama", (256, 256)),
            ("ldm", (200, 200)),
            ("zits", (256, 320)),
            ("mat", (512, 512)),
            ("fcf", (512, 512)),
            ("manga", (300, 300)),
            ("migan", (512, 700)),
        )
    ]
    formats = [
        _posts(f"cv2 {name}", 5, _form(size, name, model="cv2"))
        for name, size in (
            ("jpg", (1500, 2000)),
            ("png", (768, 1024)),
            ("webp", (600, 800)),
            ("bmp", (400, 500)),
            ("tiff", (480, 640)),
        )
    ]
    return [*erase, *formats, *_other_forms(), *_text(), *_painted(), *_errors(), *_leavers()]


def _other_forms() -> list[Kind]:
    image, mask = _pair((480, 640))
    texts = {"image": _base64(pictures.jpeg(image)), "mask": _base64(pictures.png(mask))}
    several = _pair((1200, 1600), holes=12)
    tiled = {"files": {"image": pictures.jpeg(several[0]), "mask": pictures.png(several[1])},
             "data": {"model": "lama", "hd_strategy": "Crop"}}  # fmt: skip
    return [
        _posts("json", 4, {"json": {**texts, "model": "cv2"}, "headers": {"accept": "image/webp"}}),
        _posts("iopaint", 4, {"json": texts}, path="/api/v1/inpaint"),
        _posts("many tiles", 3, tiled),
        _posts("resize", 2, _form((900, 1200), "jpg", model="lama", hd_strategy="Resize")),
        _gets("models", 3, "/models"),
        _gets("ready", 2, "/readyz"),
    ]


def _text() -> list[Kind]:
    pages = [
        write(pictures.photo((400, 600)), PHRASES[number], (40, 60 + 40 * number), 30, outline=2)
        for number in range(4)
    ]
    files = [{"image": pictures.png(page)} for page in pages]
    return [
        _posts("ocr", 4, *({"files": one} for one in files), path="/ocr"),
        _posts("remove-text", 4, *({"files": one, "data": {"model": "lama"}} for one in files),
               path="/remove-text"),
    ]  # fmt: skip


def _painted() -> list[Kind]:
    short = {"prompt": "a cat", "sd_steps": 2, "sd_mask_blur": 3}
    example = {"paint_by_example_example_image": pictures.png(pictures.photo((200, 300)))}
    shown = _form((512, 512), "png", model=PAINT_BY_EXAMPLE, sd_steps=2)
    shown["files"] |= example
    stream = _form((512, 512), "png", model=SD15, previews="true", **short)
    stream["headers"] = {"accept": "text/event-stream"}
    return [
        _posts("sd15", 3, _form((512, 512), "png", model=SD15, **short)),
        _posts("sd15 events", 2, stream),
        _posts("sdxl", 2, _form((512, 512), "jpg", model=SDXL, **short)),
        _posts("powerpaint", 2, _form((512, 512), "png", model="powerpaint", **short)),
        _posts("paint by example", 2, shown),
    ]


def _errors() -> list[Kind]:
    image, mask = _pair((300, 300))
    good = {"image": pictures.png(image), "mask": pictures.png(mask)}
    cut = {**good, "image": good["image"][: len(good["image"]) // 2]}
    other = {**good, "mask": pictures.png(_pair((200, 200))[1])}
    cv2_too = {"model": "cv2"}
    huge = _huge_png()
    return [
        _posts("broken picture", 2, {"files": cut, "data": cv2_too}, expected={400}),
        _posts("no picture", 2, {"files": {**good, "image": b"hello"}, "data": cv2_too},
               expected={400}),
        _posts("mask of another size", 2, {"files": other, "data": cv2_too}, expected={422}),
        _posts("unknown model", 2, {"files": good, "data": {"model": "nope"}}, expected={404}),
        _posts("unknown field", 2, {"files": good, "data": {**cv2_too, "x": "1"}}, expected={422}),
        _posts("too many pixels", 2, {"files": {**good, "image": huge}, "data": cv2_too},
               expected={413}),
        _posts("no form", 1, {"content": b"x" * 100_000}, expected={415}),
        _posts("deadline", 1, _late(), expected={504, 200}),
    ]  # fmt: skip


def _leavers() -> list[Kind]:
    large = _form((512, 512), "png", model=SD15, prompt="a cat", sd_steps=30)
    erase = _form((512, 512), "png", model="ldm")
    return [
        Kind("leaves in the middle of a run", 2, frozenset({LEFT}), _leaving(large, 0.6)),
        Kind("leaves while erasing", 3, frozenset({LEFT, 200}), _leaving(erase, 0.05)),
        Kind("is cancelled by its id", 2, frozenset({409, 200}), _cancelled(large)),
    ]


def _late() -> dict[str, Any]:
    late = _form((512, 512), "png", model=SD15, prompt="a cat", sd_steps=40)
    late["headers"] = {"x-timeout-seconds": "0.5"}
    return late


def _posts(
    name: str,
    share: int,
    *requests: Mapping[str, Any],
    path: str = "/inpaint",
    expected: AbstractSet[int] = frozenset({200}),
) -> Kind:
    async def send(client: httpx.AsyncClient, number: int) -> int:
        answer = await client.post(path, **requests[number % len(requests)])
        return answer.status_code

    return Kind(name, share, frozenset(expected), send)


def _gets(name: str, share: int, path: str) -> Kind:
    async def send(client: httpx.AsyncClient, number: int) -> int:
        return (await client.get(path)).status_code

    return Kind(name, share, frozenset({200}), send)


def _leaving(request: Mapping[str, Any], after_s: float) -> Send:
    async def send(client: httpx.AsyncClient, number: int) -> int:
        try:
            async with asyncio.timeout(after_s):
                return (await client.post("/inpaint", **request)).status_code
        except TimeoutError:
            return LEFT

    return send


def _cancelled(request: Mapping[str, Any]) -> Send:
    async def send(client: httpx.AsyncClient, number: int) -> int:
        request_id = f"soak-{number}"
        own = {**request, "headers": {"x-request-id": request_id}}
        running = asyncio.create_task(client.post("/inpaint", **own))
        while not running.done():
            await asyncio.sleep(0.3)
            await client.delete(f"/requests/{request_id}")
        return (await running).status_code

    return send


def _form(size: tuple[int, int], format_: str, **fields: Any) -> dict[str, Any]:
    image, mask = _pair(size)
    data = cv2.imencode(f".{format_}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
    return {"files": {"image": data, "mask": pictures.png(mask)}, "data": fields}


def _pair(size: tuple[int, int], holes: int = 1) -> tuple[Image, Mask]:
    mask = np.zeros(size, np.uint8)
    dice = np.random.default_rng(holes)
    for _ in range(holes):
        top, left = (int(dice.integers(0, side - 60)) for side in size)
        mask[top : top + 50, left : left + 50] = 255
    return pictures.photo(size), mask


def _huge_png() -> bytes:
    """The header of a picture of 400 megapixels, and nothing more that would matter."""
    data = bytearray(pictures.png(np.zeros((8, 8), np.uint8)))
    data[16:24] = (20_000).to_bytes(4, "big") * 2
    return bytes(data)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
