"""The client that waits, against a real service over HTTP."""

import asyncio
import io
import threading
import time

import cv2
import httpx
import numpy as np
import pytest
import yaml

from inpaint.diffusion import Step as DoneStep
from inpaint.errors import InpaintError, OverloadedError, ReplicaLostError
from inpaint.settings import AccessArgs
from inpaint_client import (
    NO_RETRIES,
    ApiError,
    BadParamsError,
    CancelledError,
    Client,
    Finished,
    MaskMismatchError,
    NoAnswerError,
    RequestError,
    Restarted,
    ServerError,
    Started,
    Step,
    UnauthorizedError,
    UnavailableError,
    UnknownModelError,
)
from inpaint_client.errors import _leaves
from serve_app.access.keys import digest_of
from tests.conftest import pixels, png
from tests.live_service import live_service
from tests.unit.test_text_rules import line


def test_inpaint_erases_and_keeps_every_other_pixel(client, files, photo, hole):
    result = client.inpaint(*files, model="cv2", cv2_radius=5)
    expected = cv2.inpaint(photo[..., ::-1].copy(), hole, 5, cv2.INPAINT_NS)[..., ::-1]
    painted = pixels(result.data)
    np.testing.assert_array_equal(painted[hole == 0], photo[hole == 0])
    np.testing.assert_array_equal(painted[hole > 0], expected[hole > 0])
    assert (result.format, result.model) == ("png", "cv2")
    assert {"decode", "forward", "total"} <= set(result.timings_ms)


def test_pictures_may_be_bytes_paths_and_open_files(client, files, tmp_path):
    paths = tmp_path / "photo.png", tmp_path / "mask.png"
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    wanted = client.inpaint(*files, model="cv2").data
    assert client.inpaint(*paths, model="cv2").data == wanted
    assert client.inpaint(*map(str, paths), model="cv2").data == wanted
    assert client.inpaint(memoryview(files[0]), bytearray(files[1]), model="cv2").data == wanted
    with paths[0].open("rb") as image:
        assert client.inpaint(image, io.BytesIO(files[1]), model="cv2").data == wanted


def test_a_file_that_was_opened_as_text_is_refused(client, files):
    with pytest.raises(TypeError, match="binary"):
        client.inpaint(io.StringIO("no bytes"), files[1])


def test_parameters_reach_the_model(client, service, files):
    options = {"prompt": "a cat", "sd_steps": 3, "sd_strength": 1, "sd_seed": 9, "sd_mask_blur": 0}
    result = client.inpaint(*files, model="painter", **options)
    assert result.seed == 9
    [call] = service.painters.seen
    assert (call.params.prompt, call.params.sd_steps, call.params.seed) == ("a cat", 3, 9)


def test_the_format_is_the_one_that_was_asked_for(client, files):
    result = client.inpaint(*files, model="cv2", format="jpeg", quality=80)
    assert result.format == "jpeg"
    assert result.data[:2] == b"\xff\xd8"


def test_a_saved_picture_is_the_file_and_leaves_nothing_beside_it(client, files, tmp_path):
    result = client.inpaint(*files, model="cv2")
    (tmp_path / "clean.png").write_bytes(b"before")
    result.save(tmp_path / "clean.png")
    assert (tmp_path / "clean.png").read_bytes() == result.data
    assert [path.name for path in tmp_path.iterdir()] == ["clean.png"]
    with pytest.raises(FileNotFoundError):
        result.save(tmp_path / "nowhere" / "clean.png")


def test_text_is_found_and_removed(client, service, rng):
    page = rng.integers(80, 256, (120, 160, 3), np.uint8)
    page[20:36, 10:90] = 0
    service.reader.answers = [[line()], [line()]]
    found = client.find_text(png(page), multiscale=False)
    [region] = found.regions
    assert (found.width, found.height, region.text, region.fate) == (160, 120, "Total: 12", None)
    assert region.polygon == ((10.0, 20.0), (90.0, 20.0), (90.0, 36.0), (10.0, 36.0))
    done = client.remove_text(png(page), model="cv2", fill_flat=False)
    assert (done.found, done.removed, done.kept, done.remaining) == (1, 1, 0, 0)
    assert done.regions[0].fate == "removed"
    result, mask = pixels(done.data), pixels(done.mask)
    np.testing.assert_array_equal(result[mask == 0], page[mask == 0])
    assert result[20:36, 10:90].min() > 0


def test_a_dry_run_has_lines_and_no_picture(client, service, rng, tmp_path):
    service.reader.answers = [[line()]]
    page = png(rng.integers(0, 256, (120, 160, 3), np.uint8))
    done = client.remove_text(page, model="cv2", dry_run=True, exclude=[(0, 0, 160, 120)])
    assert (done.data, done.removed, done.kept) == (None, 0, 1)
    assert done.regions[0].fate == "kept: place"
    with pytest.raises(ValueError, match="dry run"):
        done.save(tmp_path / "page.png")


def test_models_are_listed_as_the_server_describes_them(client, live):
    listed = client.models()
    documents = httpx.get(f"{live.url}/models").json()
    assert listed.default == documents["default"]
    assert [card.name for card in listed.models] == [one["name"] for one in documents["models"]]
    by_name = {card.name: card for card in listed.models}
    assert (by_name["migan"].tiling.rule, by_name["migan"].tiling.size) == ("fixed", 512)
    assert client.model("painter/old-name").name == "painter"


def test_a_stream_tells_of_every_step(client, files, photo, hole):
    fields = {"model": "painter", "sd_steps": 3, "seed": 7, "sd_mask_blur": 0}
    started, *steps, last = client.inpaint_stream(
        *files, previews=True, request_id="mine", **fields
    )
    assert started == Started("painter", 7, "mine")
    assert [(step.step, step.total) for step in steps] == [(1, 3), (2, 3), (3, 3)]
    assert all(step.preview[:2] == b"\xff\xd8" for step in steps)
    assert isinstance(last, Finished)
    painted = pixels(last.result.data)
    assert (painted[hole > 0] == (7, 3, 200)).all()
    np.testing.assert_array_equal(painted[hole == 0], photo[hole == 0])
    assert (last.result.request_id, last.result.seed) == ("mine", 7)


def test_a_run_that_begins_anew_says_so(client, service, files):
    service.painters.fail_with = [ReplicaLostError("gone")]
    events = list(client.inpaint_stream(*files, model="painter", sd_steps=2))
    assert [type(event) for event in events] == [Started, Step, Restarted, Step, Step, Finished]


def test_leaving_a_stream_ends_the_run_on_the_server(client, service, files):
    service.painters.gate = asyncio.Event()
    for event in client.inpaint_stream(*files, model="painter"):
        if isinstance(event, Step):
            break
    wait_for(lambda: service.painters.cancelled == 1)


def test_another_client_cancels_a_run_by_its_id(client, live, service, files):
    service.painters.gate = asyncio.Event()
    events = client.inpaint_stream(*files, model="painter", request_id="mine")
    assert [type(next(events)) for _ in range(2)] == [Started, Step]
    with Client(live.url) as other:
        assert other.cancel("mine")
    with pytest.raises(CancelledError) as caught:
        next(events)
    assert (caught.value.status, caught.value.request_id) == (409, "mine")
    assert not client.cancel("mine")


def test_cancelling_ends_a_call_without_a_stream(client, service, files):
    service.painters.gate = asyncio.Event()
    errors = []

    def run():
        try:
            client.inpaint(*files, model="painter", request_id="mine")
        except ApiError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: client.cancel("mine"))
    thread.join(5)
    assert [type(error) for error in errors] == [CancelledError]


def streamed(client, *files, **fields):
    return list(client.inpaint_stream(*files, **fields))


@pytest.mark.parametrize(
    ("fields", "error", "code"),
    [
        ({"model": "nope"}, UnknownModelError, "unknown-model"),
        ({"model": "cv2", "cv2_radius": 0}, BadParamsError, "bad-params"),
        ({"model": "lama"}, UnavailableError, "weights-missing"),
    ],
)
@pytest.mark.parametrize("call", [Client.inpaint, streamed])
def test_problems_become_exceptions_at_once(client, files, fields, error, code, call):
    began = time.monotonic()
    with pytest.raises(error) as caught:
        call(client, *files, request_id="mine", **fields)
    assert time.monotonic() - began < 2  # weights-missing has no Retry-After: nothing is retried
    assert (caught.value.code, caught.value.request_id) == (code, "mine")
    assert caught.value.problem.document["type"] == f"/problems/{code}"
    assert caught.value.detail in str(caught.value)


def test_a_mask_of_another_size_is_told(client, files, hole):
    with pytest.raises(MaskMismatchError, match="160x120"):
        client.inpaint(files[0], png(hole[:50]), model="cv2")


def test_an_error_within_a_stream_has_its_problem(client, service, files, monkeypatch):
    async def late(*given):
        on_step = given[5]
        on_step(DoneStep(1, 2))
        await asyncio.sleep(0.1)  # until the stream is open
        raise OverloadedError("full", {"retry_after_s": 2.5})

    monkeypatch.setattr(service.painters, "paint_steps", late)
    seen = []
    with pytest.raises(UnavailableError) as caught:
        seen.extend(client.inpaint_stream(*files, model="painter", sd_steps=2, request_id="mine"))
    told = caught.value
    assert (told.code, told.retry_after_s, told.request_id) == ("overloaded", 2.5, "mine")


def test_the_time_budget_goes_to_the_server_and_bounds_the_wait(files):
    seen = []

    def answer(request):
        seen.append((request.headers["x-timeout-seconds"], request.extensions["timeout"]["read"]))
        raise httpx.ReadTimeout("timed out", request=request)

    with Client("http://x", timeout_s=9, http=client_of(answer)) as client:
        with pytest.raises(NoAnswerError, match="in time") as caught:
            client.inpaint(*files, timeout_s=2)
        assert not caught.value.can_be_tried_again
        with pytest.raises(NoAnswerError):
            client.models()
    [(header, read_s), (other, _)] = seen  # what ran out of time is not sent again
    assert 1.9 < float(header) <= 2
    assert 2 < read_s < 10
    assert 8.9 < float(other) <= 9


def client_of(answer):
    return httpx.Client(transport=httpx.MockTransport(answer))


def test_nobody_there_is_told_without_a_traceback_of_httpx():
    client = Client("http://127.0.0.1:9", retries=NO_RETRIES)
    with client, pytest.raises(NoAnswerError) as caught:
        client.models()
    assert caught.value.can_be_tried_again


def test_another_server_is_told_from_ours():
    page = client_of(lambda _: httpx.Response(200, text="<html>hello</html>"))
    with Client("http://x", http=page) as client:
        with pytest.raises(NoAnswerError, match="no inpaint-serve"):
            client.models()
        with pytest.raises(NoAnswerError, match="no inpaint-serve"):
            client.inpaint(b"1", b"2")


def test_the_key_is_sent_as_a_bearer(tmp_path, files):
    path = tmp_path / "keys.yaml"
    entry = {"name": "studio", "sha256": digest_of("isk_studio")}
    path.write_text(yaml.safe_dump({"keys": [entry]}))
    with live_service(tmp_path, access=AccessArgs(auth="required", api_keys=path)) as live:
        with Client(live.url, api_key="isk_studio") as client:
            assert client.inpaint(*files, model="cv2").model == "cv2"
        with Client(live.url) as client, pytest.raises(UnauthorizedError, match="Bearer"):
            client.models()


def all_errors(base=InpaintError):
    return [base, *(error for sub in base.__subclasses__() for error in all_errors(sub))]


def test_every_problem_of_the_server_keeps_code_status_and_advice(live, service, files):
    for error in all_errors():
        if error is ReplicaLostError:
            continue  # the server asks again itself
        service.families["Erase"].fail_with = [error("what is wrong")]
        with Client(live.url, retries=NO_RETRIES) as client, pytest.raises(ApiError) as caught:
            client.inpaint(*files, model="cv2")
        told = caught.value
        assert (told.code, told.status, told.detail) == (error.code, error.status, "what is wrong")
        assert told.can_be_tried_again == (error.retry_after_s is not None)
        base = ServerError if error.status in (500, 504) else UnavailableError
        assert isinstance(told, RequestError if error.status < 500 else base)


def test_classes_for_codes_are_codes_of_the_server():
    theirs = {error.code for error in all_errors()}
    ours = {leaf.for_code for leaf in _leaves(ApiError)} - {None}
    assert ours <= theirs
    assert len(ours) > 10


def wait_for(condition, limit_s=5):
    give_up = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)
