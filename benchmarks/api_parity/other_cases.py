"""Calls that go wrong, and the routes beside POST /api/v1/inpaint."""

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks import pictures
from benchmarks.api_parity.calls import API, Call, Case, data_url, get, inpaint, post, upload
from benchmarks.api_parity.files import SAMPLES, SIZE, Sample, hole, mask_files, photo, saved
from inpaint.arrays import Mask

ORIGIN = {"Origin": "http://somewhere.example"}


def refused_cases() -> Iterator[Case]:
    """POST /inpaint that cannot be answered with a picture, or that hardly can."""
    image, mask = _image_url(), _mask_url()
    bodies: dict[str, object] = {
        "no image": {"mask": mask},
        "no mask": {"image": image},
        "an empty object": {},
        "image is null": {"image": None, "mask": mask},
        "image is a number": {"image": 7, "mask": mask},
        "a list": [image, mask],
        "bad base64": {"image": "data:image/png;base64,%%%%", "mask": mask},
        "a link": {"image": "http://127.0.0.1:9/a.png", "mask": mask},
        "an empty image": {"image": "data:image/png;base64,", "mask": mask},
        "not a picture": {"image": data_url(b"Hello, this is text. " * 9), "mask": mask},
        "a mask that is no picture": {"image": image, "mask": data_url(b"Hello. " * 30)},
        "a truncated PNG": {"image": data_url(_truncated()), "mask": mask},
        "a mask of another size": {"image": image, "mask": data_url(_png_of((50, 60)))},
    }
    for name, body in bodies.items():
        yield Case(f"inpaint, {name}", _posting("inpaint", body))
    for name, fields in _BAD_FIELDS.items():
        body = {"image": image, "mask": mask, **fields}
        yield Case(f"inpaint, {name}", _posting("inpaint", body))
    yield from _bad_requests()


_BAD_FIELDS: dict[str, dict[str, object]] = {
    "resize limit 0": {"hd_strategy": "Resize", "hd_strategy_resize_limit": 0},
    "resize limit -5": {"hd_strategy": "Resize", "hd_strategy_resize_limit": -5},
    "margin -8": {"hd_strategy_crop_trigger_size": 64, "hd_strategy_crop_margin": -8},
    "margin -200": {"hd_strategy_crop_trigger_size": 64, "hd_strategy_crop_margin": -200},
    "a flag that is not": {"cv2_flag": "INPAINT_MAGIC"},
    "a radius in words": {"cv2_radius": "wide"},
    "a radius of 2.5": {"cv2_radius": 2.5},
    "sd_scale 0": {"sd_scale": 0},
    "sd_strength 2": {"sd_strength": 2},
    "a seed in words": {"sd_seed": "lucky"},
    "prompt is null": {"prompt": None},
}


def _bad_requests() -> Iterator[Case]:
    path = f"{API}/inpaint"
    as_json = {"Content-Type": "application/json"}
    files = {"image": ("a.png", saved(photo(), "PNG")), "mask": ("m.png", pictures.png(hole()))}
    calls = {
        "not JSON": Call("POST", path, content=b"{'image': 1", headers=as_json),
        "an empty body": Call("POST", path, content=b"", headers=as_json),
        "text": Call("POST", path, content=b"hello", headers={"Content-Type": "text/plain"}),
        "multipart": Call("POST", path, files=files),
        "GET": Call("GET", path),
        "PUT": Call("PUT", path, json={}),
    }
    for name, call in calls.items():
        yield Case(f"inpaint, {name}", _constant(call))


def tool_cases() -> Iterator[Case]:
    """Masks, prompts, plugins, model lists, files that are not there."""
    yield Case("samplers", _constant(get("samplers")), has_values=True)
    yield Case("samplers, POST", _posting("samplers", {}))
    yield Case("server-config", _constant(get("server-config")))
    yield Case("model", _constant(get("model")), has_values=True)
    yield Case("model, the same again", _posting("model", {"name": "cv2"}), has_values=True)
    yield Case("model, no name", _posting("model", {}))
    yield Case("an unknown path", _constant(get("nope")))
    yield Case("an unknown path, POST", _posting("nope", {}))
    yield Case("medias, without a folder", _constant(get("medias?tab=input")))
    yield Case("cross-origin GET", _constant(Call("GET", f"{API}/model", headers=ORIGIN)))
    yield Case("cross-origin preflight", _constant(_preflight()))
    yield from _mask_tools()
    yield from _gen_info()
    yield from _plugins()
    yield Case("inputimage, without one", _constant(get("inputimage")))
    yield Case("save_image, without a folder", _saving("a.png"))


def _preflight() -> Call:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    return Call("OPTIONS", f"{API}/inpaint", headers={**ORIGIN, **asked})


def _mask_tools() -> Iterator[Case]:
    mask = data_url(pictures.png(_spots()))
    threshold = np.zeros(SIZE, np.uint8)
    threshold[:, :60], threshold[:, 60:90] = 126, 127
    bodies: dict[str, object] = {
        "expand": {"mask": mask, "operate": "expand", "kernel_size": 12},
        "expand by default": {"mask": mask, "operate": "expand"},
        "shrink": {"mask": mask, "operate": "shrink", "kernel_size": 3},
        "reverse": {"mask": mask, "operate": "reverse"},
        "the threshold": {"mask": data_url(pictures.png(threshold)), "operate": "reverse"},
        "the page's canvas": {
            "mask": data_url(_canvas_file()),
            "operate": "expand",
            "kernel_size": 4,
        },
        "kernel as a string": {"mask": mask, "operate": "expand", "kernel_size": "2"},
        "kernel 0": {"mask": mask, "operate": "expand", "kernel_size": 0},
        "kernel -1": {"mask": mask, "operate": "expand", "kernel_size": -1},
        "kernel 5000": {"mask": mask, "operate": "reverse", "kernel_size": 5000},
        "an unknown operation": {"mask": mask, "operate": "blur"},
        "no mask": {"operate": "expand"},
        "no operation": {"mask": mask},
        "not a picture": {"mask": data_url(b"Hello. " * 30), "operate": "expand"},
    }
    for name, body in bodies.items():
        yield Case(f"adjust_mask, {name}", _posting("adjust_mask", body))


def _gen_info() -> Iterator[Case]:
    for name in ("PNG with parameters", "PNG", "JPEG", "turned JPEG", "GIF", "grey, 16 bits"):
        yield Case(f"gen-info, {name}", _asking_info(SAMPLES[name]), has_values=True)
    yield Case("gen-info, not a picture", _constant(upload("gen-info", "a.png", b"Hello. " * 30)))
    yield Case("gen-info, no file", _constant(Call("POST", f"{API}/gen-info", files={})))
    yield Case("gen-info, JSON", _posting("gen-info", {"file": "x"}))


def _asking_info(sample: Sample) -> Callable[[], Call]:
    return lambda: upload("gen-info", "a", sample.make())


def _plugins() -> Iterator[Case]:
    body = {"name": "RealESRGAN", "image": _image_url(), "scale": 2}
    yield Case("run_plugin_gen_image, absent plugin", _posting("run_plugin_gen_image", body))
    yield Case("run_plugin_gen_mask, absent plugin", _posting("run_plugin_gen_mask", body))
    yield Case("run_plugin_gen_image, no image", _posting("run_plugin_gen_image", {"name": "x"}))
    switch = {"plugin_name": "RealESRGAN", "model_name": "realesr-general-x4v3"}
    yield Case("switch_plugin_model, absent plugin", _posting("switch_plugin_model", switch))


def switch_cases(model: str) -> Iterator[Case]:
    """Change to another model that is there."""
    yield Case(f"model, switch to {model}", _posting("model", {"name": model}), has_values=True)
    yield Case(f"model, after the switch to {model}", _constant(get("model")), has_values=True)


def last_cases() -> Iterator[Case]:
    """An unknown model: IOPaint answers no /model and no /inpaint after it."""
    yield Case("model, an unknown name", _posting("model", {"name": "nope"}))
    yield Case("model, after an unknown name", _constant(get("model")))
    yield Case(
        "inpaint, after an unknown model",
        lambda: inpaint(saved(photo(), "PNG"), pictures.png(hole())),
    )


def file_cases() -> Iterator[Case]:
    """Servers that were started with --input FILE and --output-dir."""
    yield Case("inputimage, with one", _constant(get("inputimage")))
    yield Case("server-config, with files", _constant(get("server-config")))
    for name in (
        "plain.png",
        "../up.png",
        "a/b/c.png",
        "/nowhere/absolute.png",
        "a b ü.png",
        "..",
        ".hidden.png",
        "no-ending",
    ):
        yield Case(f"save_image, {name}", _saving(name))
    yield Case("save_image, the same again", _saving("plain.png"))
    yield Case(
        "save_image, text called .png", _constant(upload("save_image", "text.png", b"Hello. " * 9))
    )
    yield Case("save_image, no file", _constant(Call("POST", f"{API}/save_image", files={})))


def _saving(name: str) -> Callable[[], Call]:
    return lambda: upload("save_image", name, saved(photo(), "PNG"))


def _constant(call: Call) -> Callable[[], Call]:
    return lambda: call


def _posting(route: str, body: object) -> Callable[[], Call]:
    return lambda: post(route, body)


def _image_url() -> str:
    return data_url(saved(photo(), "PNG"))


def _mask_url() -> str:
    return data_url(pictures.png(hole()))


def _truncated() -> bytes:
    whole = saved(photo(), "PNG")
    return whole[: len(whole) // 2]


def _png_of(size: tuple[int, int]) -> bytes:
    return pictures.png(np.full(size, 255, np.uint8))


def _spots() -> Mask:
    mask = hole()
    mask[5:8, 100:120] = mask[80:, 3:9] = 255
    return mask


def _canvas_file() -> bytes:
    return mask_files()["canvas of the page"]()
