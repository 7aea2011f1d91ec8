"""Bodies that are broken: forms that no client makes, and JSON that is none or says nonsense."""

import json

from hypothesis import strategies as st

from tests.fuzz import forms
from tests.fuzz.target import Sent

FORM_PATHS = ("/inpaint", "/ocr", "/remove-text", "/v1/images/edits", "/api/v1/gen-info",
              "/api/v1/save_image")  # fmt: skip
JSON_PATHS = ("/inpaint", "/ocr", "/remove-text", "/v1/images/edits", "/api/v1/inpaint",
              "/api/v1/adjust_mask", "/api/v1/model")  # fmt: skip
NAMES = ("image", "mask", "file", "model", "image[]", "images", "format", "sd_steps", "prompt",
         "name", "operate", "kernel_size", "paint_by_example_example_image", "include", "seed", "n",
         "stream", "quality", "size", "hd_strategy", "cv2_radius", "promt", "")  # fmt: skip


# Forms

HEADERS = (
    b'Content-Disposition: form-data; name="%b"',
    b"content-disposition:form-data;name=%b",
    b'Content-Disposition: form-data; name="%b"; filename="a.png"',
    b'Content-Disposition: form-data; name="%b"; filename=""',
    b"Content-Disposition: form-data; name*=utf-8''%b",
    b'Content-Disposition: form-data; filename="../../%b"',
    b'Content-Disposition: attachment; name="%b"; name="other"',
    b"Content-Disposition: form-data; name=\"%b\"; filename*=iso-8859-1'en'%%A3.png",
    b'Content-Disposition: form-data; name="%b',
    b"Content-Disposition: form-data",
    b"Content-Type: image/png",
    b"Content-Transfer-Encoding: base64",
    b"no colon at all %b",
    b": no name",
    b"X-Long: " + b"x" * 100_000,
    b"X-Zero: \0\x01\x7f",
    b"\xff\xfe\xfd: latin %b",
    b"",
)
ENDS_OF_LINES = (b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\n ", b"\0\r\n")
BOUNDARIES = (
    b"frontier",
    b"-",
    b"----",
    b"a" * 70,
    b"a" * 5000,
    b"front ier",
    b"\xe9",
    b"\r\n",
    b"--",
)
ENDINGS = (b"--%b--\r\n", b"--%b--", b"--%b-", b"--%b", b"", b"--%b--\r\n--%b--\r\n", b"--%b--tail",
           b"\r\n--%b--\r\n\r\n" + b"t" * 3000)  # fmt: skip
FORM_TYPES = (
    b"multipart/form-data; boundary=%b",
    b'multipart/form-data; boundary="%b"',
    b"multipart/form-data; charset=utf-16; boundary=%b",
    b"multipart/form-data; boundary=%b; boundary=other",
    b"MULTIPART/FORM-DATA; BOUNDARY=%b",
    b"multipart/form-data; boundary*=utf-8''%b",
    b"multipart/form-data;boundary=%b;" + b"a=b;" * 500,
    b"multipart/form-data",
    b"multipart/mixed; boundary=%b",
    b"application/x-www-form-urlencoded",
    b"application/json",
    b"",
)
NUMBERS = (0, 1, 2, 99, 100, 101, 1_000)
LONGEST_FORM = 3_000_000
LENGTHS = (b"0", b"1", b"-1", b"99999999999999999999", b"4194305", b"1e3", b"\xb2", b"abc", b"")

contents = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([forms.IMAGE, forms.MASK, b"cv2", b"mean-fill", b"painter", b"1"]),
    st.sampled_from([b"--frontier", b"\r\n--frontier\r\n", b"\r\n" * 500, b"x" * 100_000]),
)


@st.composite
def _part(draw, boundary: bytes):
    end = draw(st.sampled_from(ENDS_OF_LINES))
    name = draw(st.sampled_from(NAMES)).encode()
    chosen = draw(st.lists(st.sampled_from(HEADERS), max_size=4))
    if draw(st.integers(0, 3)):
        chosen.insert(0, HEADERS[0])
    if draw(st.integers(0, 40)) == 0:
        chosen = [header for header in chosen if len(header) < 1_000] * 500
    head = b"".join(header.replace(b"%b", name) + end for header in chosen)
    return b"--" + boundary + end + head + end + draw(contents) + end


@st.composite
def _form(draw) -> Sent:
    boundary = draw(st.one_of(st.just(b"frontier"), st.sampled_from(BOUNDARIES)))
    parts = [draw(_part(boundary)) for _ in range(draw(st.integers(0, 4)))]
    if draw(st.integers(0, 15)) == 0:
        parts *= min(draw(st.sampled_from(NUMBERS)), LONGEST_FORM // (sum(map(len, parts)) + 1))
    preamble = draw(st.sampled_from([b"", b"", b"\r\n", b"preamble\r\n"]))
    ending = draw(st.sampled_from(ENDINGS)).replace(b"%b", boundary)
    body = preamble + b"".join(parts) + ending
    kind = draw(st.one_of(st.just(FORM_TYPES[0]), st.sampled_from(FORM_TYPES)))
    header = (b"content-type", kind.replace(b"%b", boundary.replace(b"\r\n", b"")))
    return forms.post(draw(st.sampled_from(FORM_PATHS)), body, header)


@st.composite
def _damaged_form(draw) -> Sent:
    """A sound form with bytes cut out, put in or exchanged."""
    sound = forms.form(
        draw(st.sampled_from(FORM_PATHS)), {"image": forms.IMAGE, "mask": forms.MASK}, model="cv2"
    )
    body = bytearray(sound.chunks[0])
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(body))), draw(st.integers(0, 40))
        body[at : at + length] = draw(st.one_of(st.just(b""), st.binary(max_size=40)))
    return forms.post(sound.target, bytes(body), forms.FORM)


@st.composite
def _lying_form(draw) -> Sent:
    """A sound form in pieces, the declared length of which is another."""
    path = draw(st.sampled_from(FORM_PATHS))
    body = forms.form(path, {"image": forms.IMAGE, "mask": forms.MASK}).chunks[0]
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    length = (b"content-length", draw(st.sampled_from(LENGTHS)))
    return Sent("POST", path, (forms.HOST, length, forms.FORM), tuple(pieces))


form_requests = st.one_of(_form(), _form(), _damaged_form(), _lying_form())


# JSON

JSON_TYPES = (b"application/json", b"application/json", b"application/json; charset=utf-16",
              b"application/problem+json", b"text/plain", b"application/json;;;=", b"")  # fmt: skip
RAW_VALUES = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e-999", "9" * 400, "-" + "9" * 400,
    "9" * 5_000, "1." + "3" * 5_000, "0x10", "01", "1_000", "+1", ".5", "'a'", "True", "undefined",
    '"\\ud800"', '"\\u0000"', '"\\x00"', '"\x00"', '"' + "a" * 300_000 + '"', "[" * 100_000,
    "[" * 150 + "]" * 150, "[" * 900 + "]" * 900, '{"a":' * 50_000, '{"a":' * 150 + "1" + "}" * 150,
    "[]", "{}", "[[]]", '[{"image_url": 1}]', '{"image_url": "https://example.org/a.png"}',
    '{"file_id": "file-1"}', "null", "true", "0", "-0", "-1", "1e3", "2147483648", "1.5",
    "[" + "1," * 20_000 + "1]", '"[1, 2, 3"', "", ",", "//",
)  # fmt: skip
STRINGS = (
    "", " ", "A", "====", "AAAA", "QUJD", "QUJ", "Q=UJD", "data:", "data:,",
    "data:image/png;base64,", "data:image/png;base64,%%%", "data:image/png;base64", "http://example.org/a.png",
    "HTTPS://10.0.0.7/", "file:///etc/passwd", "\u0000", "\ud83d\ude00", "é" * 100, "A" * 500_001,
    " " * 500_000, "\n" * 100_000, forms.encoded(forms.IMAGE)[:-3],
    forms.encoded(forms.IMAGE) + "=",
    "data:image/png;base64," + forms.encoded(b"GIF89a"), "cv2", "painter", "lama", "noise",
    "nan", "-1", "1e400", "true", "CROP", "resize", "(" * 500, "a{1000}{1000}", "[1,2", "../../etc",
)  # fmt: skip
FRAMES = (b"", b"", b"", b"\xef\xbb\xbf", b"\xff\xfe", b" " * 1000, b"/* */", b"\0", b"[", b"{}{}")

strings = st.one_of(st.sampled_from(STRINGS), st.text(max_size=30))
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(10**30), 10**30),
        st.floats(),
        strings,
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4),
    max_leaves=6,
)
GOOD = {
    "image": forms.encoded(forms.IMAGE),
    "mask": forms.encoded(forms.MASK),
    "model": "mean-fill",
    "operate": "expand",
    "name": "cv2",
}


@st.composite
def _object(draw) -> Sent:
    """An object with the right keys, some of whose values are of no use."""
    members = {name: json.dumps(value) for name, value in GOOD.items() if draw(st.booleans())}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)):
        members[name] = draw(
            st.one_of(st.sampled_from(RAW_VALUES), values.map(json.dumps), strings.map(json.dumps))
        )
    pairs = [f"{json.dumps(name)}: {value}" for name, value in members.items()]
    if draw(st.integers(0, 20)) == 0:
        pairs *= 2
    if draw(st.integers(0, 30)) == 0:
        pairs += [f'"{number}": {number}' for number in range(20_000)]
    text = "{" + ", ".join(pairs) + "}"
    return _json_of(draw, text.encode("utf-8", "surrogatepass"))


@st.composite
def _anything(draw) -> Sent:
    """Any JSON, or any bytes."""
    body = draw(
        st.one_of(
            values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
            st.sampled_from(RAW_VALUES).map(str.encode),
            st.binary(max_size=100),
            st.just(json.dumps(GOOD).encode("utf-16")),
        )
    )
    return _json_of(draw, body)


@st.composite
def _cut_json(draw) -> Sent:
    """A sound object that breaks off or has bytes exchanged."""
    body = bytearray(json.dumps(GOOD).encode())
    if draw(st.booleans()):
        del body[draw(st.integers(0, len(body) - 1)) :]
    else:
        for _ in range(draw(st.integers(1, 5))):
            body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    return _json_of(draw, bytes(body))


def _json_of(draw, body: bytes) -> Sent:
    front = draw(st.sampled_from(FRAMES)) if draw(st.integers(0, 4)) == 0 else b""
    kind = (b"content-type", draw(st.sampled_from(JSON_TYPES)))
    return forms.post(draw(st.sampled_from(JSON_PATHS)), front + body, kind)


json_requests = st.one_of(_object(), _object(), _cut_json(), _anything())
