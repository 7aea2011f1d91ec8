"""Request bodies: read within a limit, taken apart into files and fields."""

import base64
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from starlette.requests import Request

from inpaint.errors import BodyTooLargeError, ParamsError, RequestError, UnsupportedMediaError
from serve_app.bodies import MAX_FIELDS, Body, parse, read

FILES = frozenset({"image", "mask"})
BOUNDARY = b"frontier"
MULTIPART = "multipart/form-data; boundary=frontier"
PICTURE = bytes(range(256)) * 5


def part(name, content, more=b""):
    disposition = b'Content-Disposition: form-data; name="' + name.encode() + b'"' + more
    return b"--" + BOUNDARY + b"\r\n" + disposition + b"\r\n\r\n" + content + b"\r\n"


def multipart(*parts):
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


def as_json(content):
    return parse("application/json", json.dumps(content).encode(), FILES)


def encoded(data):
    return base64.b64encode(data).decode()


def request_of(*chunks, length=None):
    """A request whose body comes in these pieces; and how many were asked for."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    asked = []

    async def receive():
        asked.append(1)
        return messages.pop(0)

    headers = [] if length is None else [(b"content-length", length.encode("latin-1"))]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive), asked


def test_json_and_multipart_say_the_same():
    fields = {"model": "lama", "hd_strategy": "CROP", "note": "überall ☃"}
    body = multipart(
        part("image", PICTURE, b'; filename="a.png"\r\nContent-Type: image/png'),
        *(part(name, value.encode()) for name, value in fields.items()),
        part("mask", b"m"),
    )
    sent = {"image": encoded(PICTURE), "mask": encoded(b"m")} | fields
    assert parse(MULTIPART, body, FILES) == as_json(sent)


def test_json_keeps_the_types_of_fields():
    fields = {"seed": 3, "ratio": 0.5, "flag": True, "none": None, "list": [1], "object": {"a": 1}}
    assert as_json(fields) == Body({}, fields)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json;",
    ],
)
def test_json_is_known_by_its_content_type(content_type):
    assert parse(content_type, b'{"model": "lama"}', FILES).fields == {"model": "lama"}


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "data:image/png;base64,{}",
        "data:;base64,{}",
        "data:image/svg+xml;charset=utf-8;base64,{}",
    ],
)
def test_base64_may_be_a_data_url(form):
    assert as_json({"image": form.format(encoded(PICTURE))}).files == {"image": PICTURE}


@given(st.binary(max_size=300), st.integers(1, 80), st.sampled_from(["\n", "\r\n", " ", "\n\t"]))
def test_base64_may_have_line_breaks(data, width, separator):
    text = encoded(data)
    lines = separator.join(text[i : i + width] for i in range(0, len(text), width))
    for prefix in ("", "data:image/png;base64,"):
        assert as_json({"image": prefix + lines + separator}).files == {"image": data}


@pytest.mark.parametrize(
    "value",
    [
        "no base64!",
        "QUJ",  # padding is missing
        "Q=UJD",
        "QUJDé",
        "data:image/png;base64",
        "data:image/png,%89PNG",
        "QUJD-_8=",  # the alphabet for URLs
        3,
        ["QUJD"],
        True,
    ],
)
def test_base64_that_is_wrong_is_refused_by_name(value):
    with pytest.raises(ParamsError, match="'image'"):
        as_json({"image": value})


@pytest.mark.parametrize("value", ["http://example.org/a.png", "https://10.0.0.7/a.png"])
def test_link_is_never_fetched(value):
    with pytest.raises(ParamsError, match="no link is fetched"):
        as_json({"image": value})


@pytest.mark.parametrize("content", [b"[]", b'"text"', b"3", b"null"])
def test_json_that_is_no_object_is_refused(content):
    with pytest.raises(RequestError, match="must be a JSON object"):
        parse("application/json", content, FILES)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{} {}",
        b'{"seed": NaN}',
        b'{"seed": -Infinity}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b"{'seed': 1}",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_json_that_is_malformed_is_refused(content):
    with pytest.raises(RequestError, match="not valid JSON"):
        parse("application/json", content, FILES)


@pytest.mark.parametrize(
    "sent", [{}, {"image": None}, {"image": ""}, {"image": "data:image/png;base64,"}]
)
def test_file_that_is_missing_is_told_with_what_to_send(sent):
    with pytest.raises(ParamsError, match="The field 'image' is missing: send a picture"):
        as_json(sent).take("image", "a picture")


def test_file_is_taken_once():
    body = as_json({"image": encoded(PICTURE), "mask": encoded(b"m")})
    assert body.take("image", "a picture") == PICTURE
    assert body.files == {"mask": b"m"}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "image/png",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=frontier",
        "application/jsonp",
    ],
)
def test_other_content_types_are_refused(content_type):
    with pytest.raises(UnsupportedMediaError):
        parse(content_type, multipart(part("model", b"lama")), FILES)


def test_multipart_file_is_a_slice_of_the_body():
    body = multipart(part("model", b"lama"), part("image", PICTURE), part("mask", b"m"))
    image = parse(MULTIPART, body, FILES).take("image", "a picture")
    assert isinstance(image, memoryview)
    assert image.obj is body
    assert image == PICTURE


fragments = st.sampled_from(
    [
        b"\r",
        b"\n",
        b"\r\n",
        b"-",
        b"--",
        b"\r\n--",
        b"\r\n--front",
        BOUNDARY,
        b"--" + BOUNDARY,
        b"x",
    ]
)


@given(st.lists(fragments | st.binary(max_size=9)), st.lists(fragments))
def test_multipart_keeps_any_content(image, mask):
    """Also what looks like the beginning of a boundary."""
    image, mask = b"".join(image), b"".join(mask)
    assume(
        b"\r\n--" + BOUNDARY not in b"\r\n" + image and b"\r\n--" + BOUNDARY not in b"\r\n" + mask
    )
    body = multipart(part("image", image), part("mask", mask), part("model", b"lama"))
    parsed = parse(MULTIPART, body, FILES)
    assert parsed == Body({"image": image, "mask": mask}, {"model": "lama"})


def test_multipart_cut_off_anywhere_is_refused():
    body = multipart(part("image", b"\r\n-pixels"), part("model", b"lama"))
    last = body.rindex(b"--\r\n")
    for length in range(last + 2):
        with pytest.raises(RequestError):
            parse(MULTIPART, body[:length], FILES)
    assert parse(MULTIPART, body[: last + 2], FILES).fields == {"model": "lama"}


@pytest.mark.parametrize(
    "body",
    [
        b"no boundary at all",
        b"--wrong\r\n\r\n\r\n--wrong--\r\n",
        b'--frontier\r\nContent Disposition: form-data; name="a"\r\n\r\n1\r\n--frontier--\r\n',
        b"--frontier\r\n: empty\r\n\r\n1\r\n--frontier--\r\n",
        b"--frontier\nContent-Disposition: x\n\n1\n--frontier--\n",
    ],
)
def test_multipart_that_is_malformed_is_refused(body):
    with pytest.raises(RequestError, match="malformed"):
        parse(MULTIPART, body, FILES)


@given(st.binary(max_size=200))
def test_multipart_of_noise_is_refused(body):
    with pytest.raises(RequestError):
        parse(MULTIPART, body, FILES)


def test_multipart_with_the_most_parts_is_read():
    body = multipart(*(part(f"f{n}", b"") for n in range(MAX_FIELDS)))
    assert len(parse(MULTIPART, body, FILES).fields) == MAX_FIELDS


def test_multipart_with_too_many_parts_is_refused():
    body = multipart(*(part(f"f{n}", b"") for n in range(MAX_FIELDS + 1)))
    with pytest.raises(RequestError, match="more than 100 parts"):
        parse(MULTIPART, body, FILES)


@pytest.mark.parametrize(
    "header",
    [b"Content-Disposition: form-data", b'Content-Disposition: form-data; name=""', b"X-Other: 1"],
)
def test_multipart_part_without_a_name_is_refused(header):
    body = b"--frontier\r\n" + header + b"\r\n\r\n1\r\n--frontier--\r\n"
    with pytest.raises(RequestError, match="has no name"):
        parse(MULTIPART, body, FILES)


def test_multipart_header_names_are_case_insensitive():
    body = b'--frontier\r\ncontent-DISPOSITION: form-data; name="a"\r\n\r\n1\r\n--frontier--\r\n'
    assert parse(MULTIPART, body, FILES).fields == {"a": "1"}


async def test_read_joins_what_comes_in_pieces():
    request, _ = request_of(b"ab", b"", b"cd")
    assert await read(request, 4) == b"abcd"


async def test_read_takes_a_body_of_one_piece_as_it_is():
    request, _ = request_of(PICTURE, length=str(len(PICTURE)))
    assert await read(request, len(PICTURE)) == PICTURE


async def test_read_of_nothing_is_empty():
    request, _ = request_of()
    assert await read(request, 0) == b""


async def test_read_refuses_by_the_header_before_it_reads():
    request, asked = request_of(b"abcde", length="5")
    with pytest.raises(BodyTooLargeError, match="larger than this server's 0 MiB"):
        await read(request, 4)
    assert asked == []


@pytest.mark.parametrize("length", [None, "3", "", "-5", "²", "many"])
async def test_read_refuses_what_turns_out_too_large(length):
    request, asked = request_of(b"abc", b"de", b"f", length=length)
    with pytest.raises(BodyTooLargeError):
        await read(request, 4)
    assert len(asked) == 2
