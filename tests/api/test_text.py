import base64

import numpy as np
import pytest

from inpaint.errors import ReplicaLostError
from tests.api.test_inpaint import problem
from tests.conftest import pixels, png
from tests.local_service import LocalService
from tests.unit.test_text_rules import line

JSON = {"accept": "application/json"}


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path, has_ocr=True)


@pytest.fixture
def page(rng):
    """(120, 160, 3) uint8 RGB: a busy picture with a dark bar where the text is."""
    image = rng.integers(80, 256, (120, 160, 3), np.uint8)
    image[20:36, 10:90] = 0
    return image


async def ask(service, page, route="/remove-text", headers=JSON, **fields):
    async with service.client(headers=headers) as client:
        return await client.post(route, files={"image": png(page)}, data=fields)


async def test_ocr_answers_regions(service, page):
    service.reader.answers = [[line()]]
    answer = await ask(service, page, "/ocr")
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert (content["width"], content["height"]) == (160, 120)
    (region,) = content["regions"]
    assert region == {
        "polygon": [[10, 20], [90, 20], [90, 36], [10, 36]],
        "text": "Total: 12",
        "score": 0.9,
        "detection_score": 0.8,
    }


async def test_text_is_erased_and_everything_else_stays(service, page):
    service.reader.answers = [[line()]]
    answer = await ask(service, page, model="cv2", fill_flat="false")
    assert answer.status_code == 200, answer.text
    content = answer.json()
    counts = [content[name] for name in ("found", "removed", "kept", "remaining")]
    assert counts == [1, 1, 0, 0]
    result, mask = (pixels(base64.b64decode(content[name])) for name in ("image", "mask"))
    np.testing.assert_array_equal(result[mask == 0], page[mask == 0])
    assert (mask[20:36, 10:90] == 255).all()
    assert result[20:36, 10:90].min() > 0


async def test_picture_answers_count_lines_in_headers(service, page):
    service.reader.answers = [[line(), line("Keep me", top=80)]]
    answer = await ask(service, page, headers={}, model="cv2", keep="^keep")
    assert answer.headers["content-type"] == "image/png"
    names = ("x-text-found", "x-text-removed", "x-text-kept", "x-text-remaining")
    assert [answer.headers[name] for name in names] == ["2", "1", "1", "0"]
    assert "verify" in answer.headers["server-timing"]


async def test_a_picture_without_text_comes_back_as_it_came(service, page):
    sent = png(page)
    async with service.client() as client:
        answer = await client.post("/remove-text", files={"image": sent})
    assert answer.content == sent
    assert answer.headers["x-text-found"] == "0"
    assert service.families["Erase"].calls == 0


async def test_dry_run_answers_regions_and_a_mask_that_inpaint_takes(service, page):
    service.reader.answers = [[line(), line("Keep", top=80)]]
    answer = await ask(service, page, headers={}, dry_run="true", keep="keep")
    content = answer.json()
    assert content["image"] is None
    assert [region["fate"] for region in content["regions"]] == ["removed", "kept: pattern"]
    assert service.families["Erase"].calls == 0
    mask = base64.b64decode(content["mask"])
    async with service.client() as client:
        files = {"image": png(page), "mask": mask}
        edited = await client.post("/inpaint", files=files, data={"model": "cv2"})
    assert edited.status_code == 200
    holes = pixels(mask)
    np.testing.assert_array_equal(pixels(edited.content)[holes == 0], page[holes == 0])


async def test_words_that_remain_are_erased_once_more_with_a_wider_mask(service, page, tmp_path):
    found_again = line(left=22, top=24)  # in the coordinates of the window that is read again
    service.reader.answers = [[line()], [found_again], []]
    content = (await ask(service, page, model="cv2", fill_flat="false")).json()
    assert content["remaining"] == 0
    assert len(service.reader.seen) == 3
    once = LocalService(tmp_path, has_ocr=True)
    once.reader.answers = [[line()]]
    narrow = (await ask(once, page, model="cv2", fill_flat="false")).json()
    wide, small = (
        (pixels(base64.b64decode(answer["mask"])) > 0).sum() for answer in (content, narrow)
    )
    assert wide > small


async def test_words_that_cannot_be_erased_are_counted(service, page):
    again = line(left=22, top=24)
    service.reader.answers = [[line()], [again], [again]]
    assert (await ask(service, page, model="cv2")).json()["remaining"] == 1


async def test_only_the_places_that_changed_are_read_again(service, page):
    service.reader.answers = [[line()]]
    await ask(service, page, model="cv2")
    whole, part = service.reader.seen
    assert whole == page.shape
    assert part[0] * part[1] < whole[0] * whole[1]


async def test_a_kept_line_keeps_the_pixels_that_a_removed_one_shares(service, page):
    service.reader.answers = [[line(), line("Keep", top=30)]]
    content = (await ask(service, page, model="cv2", keep="keep", mask_mode="box")).json()
    result = pixels(base64.b64decode(content["image"]))
    np.testing.assert_array_equal(result[30:46, 10:90], page[30:46, 10:90])
    assert (result[20:29, 10:90] > 0).any()


async def test_verify_can_be_left_out(service, page):
    service.reader.answers = [[line()]]
    await ask(service, page, model="cv2", verify="false")
    assert len(service.reader.seen) == 1


async def test_flat_text_needs_no_model(service, page):
    page[:60] = 200
    page[22:34, 12:88:4] = 0
    service.reader.answers = [[line()]]
    answer = await ask(service, page)
    assert service.families["Erase"].calls == 0
    result = pixels(base64.b64decode(answer.json()["image"]))
    assert (result[18:38, 8:92] == 200).all()


async def test_text_over_the_whole_picture_is_erased(service, page):
    service.reader.answers = [[line(left=0, top=0, width=160, height=120)]]
    answer = await ask(service, page, model="cv2")
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"keep": "("}, "RE2"),
        ({"include": "everywhere"}, "include"),
        ({"exclude": "[[1, 2, 3]]"}, "exclude"),
        ({"min_score": "1.5"}, "min_score"),
        ({"mask_mode": "circle"}, "mask_mode"),
        ({"mask_margin": "-1"}, "mask_margin"),
        ({"model": "cv2", "seed": "1"}, "seed"),
        ({"model": "pp-ocrv6-small"}, "reads text"),
        ({"mask": "white"}, "mask"),
    ],
)
async def test_wrong_fields_are_named(service, page, fields, named):
    assert named in problem(await ask(service, page, **fields), 422, "bad-params")


async def test_regions_may_lie_outside_the_picture(service, page):
    service.reader.answers = [[line()]]
    fields = {"include": "[[-500, -500, 10000, 10000]]", "exclude": "[[900, 900, 5, 5]]"}
    assert (await ask(service, page, model="cv2", **fields)).json()["removed"] == 1


async def test_a_lost_reader_is_asked_once_more(service, page):
    service.reader.fail_with = [ReplicaLostError("gone")]
    service.reader.answers = [[line()]]
    assert (await ask(service, page, model="cv2")).status_code == 200
    service.reader.fail_with = [ReplicaLostError("gone"), ReplicaLostError("gone")]
    problem(await ask(service, page, model="cv2"), 503, "replica-lost")
    problem(await ask(service, page, model="cv2"), 422, "input-refused")


async def test_one_death_may_take_several_windows_along(service, rng):
    """Both windows of the check are lost with their replica; that is one retry, not two."""
    page = rng.integers(80, 256, (120, 900, 3), np.uint8)
    service.reader.answers = [[line(), line(left=800)]]
    service.reader.lost_calls = {2, 3}
    answer = await ask(service, page, model="cv2")
    assert answer.status_code == 200, answer.text
    assert len(service.reader.seen) == 5


async def test_ocr_switched_off_says_so(tmp_path, page):
    service = LocalService(tmp_path)
    for route in ("/ocr", "/remove-text"):
        detail = problem(await ask(service, page, route), 503, "family-missing")
        assert "OCR is switched off" in detail


async def test_a_reader_is_no_eraser(service, page):
    answer = await ask(service, page, "/inpaint", model="pp-ocrv6-small")
    assert answer.status_code == 422
