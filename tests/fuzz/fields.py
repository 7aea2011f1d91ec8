"""Sound pictures with masks, parameters, headers and paths of no sense; clients that leave."""

from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from inpaint.examples import EXAMPLE
from serve_app.openai.fields import EditFields
from serve_app.orders import OPTIONS, PARAMS, InpaintFields, RemoveTextFields, SdSeed
from tests.fuzz import forms
from tests.fuzz.bodies import STRINGS
from tests.fuzz.target import HangUp, Sent
from tests.unit.codec_pictures import RNG, picture_of, saved

MODELS = ("cv2", "mean-fill", "noise", "painter", "lcm-painter", "example-painter", "square-fill",
          "lama", "zits", "runwayml/stable-diffusion-inpainting", "no such model", "", "../cv2",
          "cv2\0")  # fmt: skip
READERS = (InpaintFields, RemoveTextFields, EditFields, SdSeed, *OPTIONS.values(), *PARAMS.values())
FIELDS = sorted({name for model in READERS for name in model.model_fields} - {"model", "kind"})
WORDS = (
    *STRINGS,
    "0", "1", "2", "8", "64", "512", "-1", "-0.0", "0.5", "1.5", "1e308", "-1e308", "1e-320", "inf",
    "2147483647", "2147483648", "-2147483649", "9223372036854775808", "9" * 400, "9" * 5_000, "١٢",
    "0x10", "1_000", " 7 ", "+5", "False", "on", "null", "None", "[]", "{}", "[[0, 0, 1, 1]]",
    "[[0, 0, -1, 1e9]]", "[[99999999999999999999, 0, 1, 1]]", '[["a", 0, 1, 1]]', "[[0, 0, 1]]",
    "[" * 3_000, "[[0,0,1,1]" + ",[0,0,1,1]" * 2_000 + "]", "png", "jpg", "heic", "image/webp",
    "gif", "tiff", "original", "CROP", "b64_json", "url", "auto", "31x24", "999999x1", "Euler a",
    "(a+)+$", ".*" * 400, "[[:alpha:]", "\\p{Greek}", "(?i)", "(?P<a>x)(?P<a>y)", "x{1001}",
)  # fmt: skip
SHAPES = ((24, 31), (24, 31), (1, 1), (1, 3_000), (3_000, 1), (700, 900), (1, 1_900_000),
          (1_900_000, 1), (60_000, 3), (1_400, 1_400))  # fmt: skip
KINDS_OF_MASKS = ("hole", "hole", "empty", "full", "grey", "noise", "RGBA", "turned", "cut",
                  "other", "")  # fmt: skip


@cache
def image_of(shape: tuple[int, int]):
    """A picture, noisy where that is small."""
    pixels = np.full((*shape, 3), 77, np.uint8)
    if pixels.size < 3_000_000:
        pixels = RNG.integers(0, 256, pixels.shape, np.uint8)
    return _written(pixels)


@cache
def mask_of(kind: str, shape: tuple[int, int]):
    """A mask for a picture of that shape, or one that does not fit."""
    mask = np.zeros(shape, np.uint8)
    mask[shape[0] // 3 : shape[0] // 2 + 1, shape[1] // 4 : shape[1] // 2 + 1] = 255
    match kind:
        case "hole":
            pass
        case "empty" | "full" | "grey":
            mask[:] = {"empty": 0, "full": 255, "grey": 127}[kind]
        case "noise":
            mask = RNG.integers(0, 256, shape, np.uint8)
        case "RGBA":
            return _written(np.dstack([mask] * 3 + [255 - mask]))
        case "turned":
            mask = mask.T
        case "cut":
            mask = mask[: max(1, shape[0] - 1)]
        case "other":
            return saved(picture_of("P"), "GIF")
        case _:
            return b""
    return _written(mask)


def _written(mask: np.ndarray):
    return saved(Image.fromarray(np.ascontiguousarray(mask)), "PNG")


TARGETS = (
    "/", "//", "/inpaint/", "/inpaint//", "/INPAINT", "/inpaint?a=b&a=c&%00=%ff", "/models",
    "/models/", "/models/cv2", "/models/cv2%00", "/models/..%2f..%2fetc%2fpasswd", "/models/%ff%fe",
    "/models/" + "a" * 9_000, "/models/%F0%9F%98%80", "/requests/x", "/requests/%0d%0aX-A:%20b",
    "/requests/", "/api/v1/model", "/api/v1/samplers", "/api/v1/server-config",
    "/api/v1/inputimage", "/api/v1/nothing", "/api/v1", "/api/v1/", "/v1/models",
    "/v1/models/cv2", "/v1/models/%00",
    "/v1", "/v1/images/edits/", "/v1/images/generations", "/web/", "/web/..%2f..%2fmain.py",
    "/web/../main.py", "/web/js/", "/web/%00", "/docs", "/openapi.json", "/openapi.json?x=1",
    "/healthz", "/readyz", "/favicon.ico", "/.git/config", "/%2e%2e/%2e%2e/etc/passwd",
    "/a?" + "b" * 9_000, "*", "http://example.org/",
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "BREW",
           "get", "G" * 200)  # fmt: skip
HEADERS = (
    (b"x-timeout-seconds", (b"0", b"-1", b"nan", b"inf", b"1e9", b"0.0001", b"9" * 20, b"9" * 21,
                            b"\xb2", b"", b" 5", b"5,5", b"0.00000000000000000001", b"5")),
    (b"accept", (b"", b"*/*", b"text/html", b"image/*", b"image/gif;q=0", b"application/json;q=abc",
                 b",,,;;q=", b"image/png;q=0.5, image/webp;q=1.0", b"text/event-stream",
                 b"a" * 9_000, b"*/*," * 5_000, b"\xff\xfe", b"image/heic", b"image/tiff")),
    (b"x-request-id", (b"", b"a" * 101, b"a b", b"\xff", b"../x", b"<script>", b"ok.1", b"%0d%0a")),
    (b"content-type", (b"", b"multipart/form-data",
                       b"multipart/form-data; boundary=" + b"f" * 9_000,
                       b"application/json", b"text/plain", b"\xff/\xfe", b";;;;", b"a/b;c=\"d",
                       b"multipart/form-data; boundary=frontier; boundary*0=a; boundary*1=b")),
    (b"content-length", (b"", b"0", b"-5", b"+5", b"9" * 30, b"\xb9", b"5, 5", b"0x10")),
    (b"content-encoding", (b"gzip", b"br", b"identity", b"deflate, gzip")),
    (b"transfer-encoding", (b"chunked", b"gzip, chunked")),
    (b"expect", (b"100-continue", b"200-ok")),
    (b"range", (b"bytes=0-1", b"bytes=-1", b"bytes=5-2", b"lines=1-2")),
    (b"if-none-match", (b"*", b"W/\"a\"", b",,,", b"\xff")),
    (b"authorization", (b"Bearer", b"Bearer ", b"Basic Og==", b"\xff\xff",
                        b"Bearer " + b"a" * 9_000)),
    (b"x-api-key", (b"", b"\xff", b"a" * 9_000)),
    (b"origin", (b"null", b"http://evil.example", b"\xff")),
    (b"traceparent", (b"00-0-0-0", b"00-" + b"f" * 32 + b"-" + b"f" * 16 + b"-01", b"\xff", b"")),
    (b"host", (b"", b"a b", b"[::1", b"example.org:99999", b"\xff")),
    (b"cookie", (b"a=b", b";" * 9_000)),
)  # fmt: skip

words = st.one_of(st.sampled_from(WORDS), st.sampled_from(WORDS), st.text(max_size=20))
headers = st.lists(
    st.sampled_from(HEADERS).flatmap(
        lambda pair: st.tuples(
            st.just(pair[0]), st.sampled_from(pair[1]) | st.binary(max_size=20).map(_printable)
        )
    ),
    max_size=2,
)


def _printable(value: bytes) -> bytes:
    """Without what no HTTP server lets pass in a header."""
    return bytes(byte for byte in value if byte >= 0x20 and byte != 0x7F)


@st.composite
def _parameters(draw) -> Sent:
    """Pictures, sound ones but for the mask, with parameters of any kind."""
    path = draw(
        st.sampled_from(("/inpaint", "/inpaint", "/remove-text", "/ocr", "/v1/images/edits"))
    )
    shape = draw(st.sampled_from(SHAPES))
    files = {"image": image_of(shape) if draw(st.integers(0, 20)) else b""}
    if path in ("/inpaint", "/v1/images/edits") or draw(st.integers(0, 5)) == 0:
        files["mask"] = mask_of(draw(st.sampled_from(KINDS_OF_MASKS)), shape)
    if draw(st.integers(0, 8)) == 0:
        files[EXAMPLE] = image_of(draw(st.sampled_from(SHAPES)))
    sent = draw(st.dictionaries(st.sampled_from(FIELDS), words, max_size=4))
    if draw(st.integers(0, 4)):
        sent["model"] = draw(st.sampled_from(MODELS))
    if "painter" in str(sent.get("model")):
        sent.setdefault("sd_steps", "1")
    return forms.form(path, files, *draw(headers), **sent)


@st.composite
def _masks_to_adjust(draw):
    """A mask of any shape, to be grown or shrunk by any number."""
    shape = draw(st.sampled_from(SHAPES))
    mask = forms.encoded(mask_of(draw(st.sampled_from(KINDS_OF_MASKS)), shape))
    operate = draw(st.sampled_from(("expand", "shrink", "reverse", "grow", "", None)))
    size = draw(st.sampled_from((0, 1, 12, 13, 249, 250, 250, 251, -1, 10**30, 2.5, "7", None)))
    return forms.as_json(
        "/api/v1/adjust_mask", {"mask": mask, "operate": operate, "kernel_size": size}
    )


@st.composite
def _addresses(draw) -> Sent:
    """Any method on any path."""
    target = draw(
        st.one_of(
            st.sampled_from(TARGETS),
            st.text(st.sampled_from("/.%20afinpt?&=:v1-_~;@"), max_size=30).map("/".__add__),
        )
    )
    body = draw(st.sampled_from((b"", b"{}", b"\0" * 1000)))
    return Sent(draw(st.sampled_from(METHODS)), target, tuple(draw(headers)), (body,))


@st.composite
def _leaving(draw):
    """A client that goes away, in the middle of its body or right after it."""
    sent = draw(_parameters())
    hang_up = draw(st.sampled_from((HangUp.EARLY, HangUp.LATE)))
    chunks = sent.chunks
    if hang_up is HangUp.EARLY:
        chunks = (chunks[0][: draw(st.integers(0, len(chunks[0])))],)
    accept = (b"accept", b"text/event-stream")
    headers = sent.headers + ((accept,) if draw(st.booleans()) else ())
    return replace(sent, headers=headers, chunks=chunks, hang_up=hang_up)


parameter_requests = st.one_of(
    _parameters(), _parameters(), _parameters(), _masks_to_adjust(), _addresses()
)
leaving_requests = _leaving()
