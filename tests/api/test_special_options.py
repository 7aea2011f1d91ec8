"""ControlNet, BrushNet and PowerPaint over HTTP, with a family that paints flat colours."""

import asyncio
import base64

import pytest

from inpaint.deadlines import Deadline
from inpaint.errors import RequestCancelledError
from inpaint.examples import EXAMPLE
from inpaint.settings import IngressConfig
from serve_app.accounts import Account
from serve_app.bodies import Body
from serve_app.progress import Watcher
from tests.api.test_inpaint import problem
from tests.conftest import pixels, png
from tests.events import events_of
from tests.local_service import LocalService
from tests.special_models import (
    CANNY,
    DEPTH,
    OPENPOSE,
    RANDOM,
    RANDOM_XL,
    ROLES,
    SEGMENTS,
    put,
    special_catalog,
)


@pytest.fixture
def bare(tmp_path):
    """Without the weights of any adapter."""
    return LocalService(tmp_path, has_diffusion=True, catalog=special_catalog(tmp_path))


@pytest.fixture
def service(bare, tmp_path):
    put(tmp_path, (*ROLES, RANDOM_XL))
    return bare


def form(photo, hole, **fields):
    return {
        "files": {"image": png(photo), "mask": png(hole)},
        "data": {"model": "plain", "sd_steps": "2", "seed": "7"} | fields,
    }


async def post(service, photo, hole, **fields):
    async with service.client() as client:
        return await client.post("/inpaint", **form(photo, hole, **fields))


async def post_iopaint(service, photo, hole, **fields):
    pictures = {"image": png(photo), "mask": png(hole)}
    body = {name: base64.b64encode(data).decode() for name, data in pictures.items()}
    async with service.client() as client:
        return await client.post("/api/v1/inpaint", json=body | {"model": "plain"} | fields)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("plain", {"enable_controlnet": True}),
        ("nine", {"enable_controlnet": True, "controlnet_method": OPENPOSE,
                  "controlnet_conditioning_scale": 1.5, "sd_strength": 0.5, "sd_lcm_lora": True}),
        ("plain", {"enable_controlnet": True, "controlnet_method": DEPTH}),
        ("plain", {"enable_brushnet": True, "brushnet_method": SEGMENTS,
                   "brushnet_conditioning_scale": 0.5, "use_extender": True}),
        ("plain-xl", {"enable_brushnet": True, "brushnet_method": RANDOM_XL}),
        ("plain", {"enable_powerpaint_v2": True, "powerpaint_task": "object-remove",
                   "fitting_degree": 0.5}),
    ],
)  # fmt: skip
async def test_what_fits_reaches_the_family(service, photo, hole, model, fields):
    sent = {name: str(value) for name, value in fields.items()}
    answer = await post(service, photo, hole, model=model, **sent)
    assert answer.status_code == 200, answer.text
    (call,) = service.painters.seen
    arrived = call.params.model_dump() | {"use_extender": call.image.shape[0] == 640}
    assert {name: arrived[name] for name in fields} == fields


@pytest.mark.parametrize(
    "fields",
    [
        {"enable_brushnet": "true", "enable_controlnet": "true"},
        {"enable_brushnet": "true", "sd_lcm_lora": "true"},
        {"enable_brushnet": "true", "enable_powerpaint_v2": "true"},
        {"enable_brushnet": "true", "sd_strength": "0.9"},
        {"enable_powerpaint_v2": "true", "enable_controlnet": "true"},
        {"enable_powerpaint_v2": "true", "sd_lcm_lora": "true"},
        {"enable_powerpaint_v2": "true", "sd_strength": "0.9"},
        {"use_extender": "true", "enable_controlnet": "true"},
    ],
)
async def test_what_excludes_each_other_is_refused_by_name(bare, photo, hole, fields):
    said = problem(await post(bare, photo, hole, **fields), 422, "bad-params")
    assert all(name in said for name in fields)
    assert "does not go with" in said
    assert not bare.painters.seen


@pytest.mark.parametrize(
    ("model", "fields", "named"),
    [
        ("plain", {"enable_controlnet": "1", "controlnet_method": RANDOM},
         ("controlnet_method", RANDOM, f"{CANNY}, {OPENPOSE}, {DEPTH}")),
        ("plain", {"enable_brushnet": "1", "brushnet_method": RANDOM_XL},
         ("brushnet_method", RANDOM_XL, f"{RANDOM}, {SEGMENTS}")),
        ("plain-xl", {"enable_controlnet": "1"}, ("enable_controlnet", "ControlNet")),
        ("nine", {"enable_brushnet": "1"}, ("'enable_brushnet'", "'nine'")),
        ("plain-xl", {"enable_powerpaint_v2": "1"}, ("'enable_powerpaint_v2'", "'plain-xl'")),
        ("painter", {"enable_controlnet": "1"}, ("'enable_controlnet'", "'painter'")),
        ("plain", {"powerpaint_task": "erase"}, ("powerpaint_task", "object-remove")),
        ("plain", {"fitting_degree": "1.5"}, ("fitting_degree",)),
        ("plain", {"controlnet_conditioning_scale": "2.5"}, ("controlnet_conditioning_scale",)),
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_refused_with_what_does(bare, photo, hole, model, fields, named):
    said = problem(await post(bare, photo, hole, model=model, **fields), 422, "bad-params")
    assert all(word in said for word in named), said
    assert not bare.painters.seen


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"enable_controlnet": "1", "controlnet_method": OPENPOSE}, OPENPOSE),
        ({"enable_controlnet": "1", "controlnet_method": DEPTH}, DEPTH),
        ({"enable_brushnet": "1"}, RANDOM),
        ({"enable_powerpaint_v2": "1"}, "a/power"),
    ],
)
async def test_missing_weights_are_told_before_anything_is_started(
    bare, photo, hole, fields, missing
):
    bare.wanting, bare.can_grow = {"Painters": {"GPU": 1.0}}, True  # and warming would take long
    answer = await asyncio.wait_for(post(bare, photo, hole, **fields), 5)
    assert f"'{missing}'" in problem(answer, 503, "weights-missing")
    assert not bare.painters.seen


async def test_the_depth_estimator_is_required_as_well(bare, tmp_path, photo, hole):
    put(tmp_path, [DEPTH])
    fields = {"enable_controlnet": "1", "controlnet_method": DEPTH}
    answer = await post(bare, photo, hole, **fields)
    assert "'a/estimator'" in problem(answer, 503, "weights-missing")
    put(tmp_path, ["a/estimator"])
    assert (await post(bare, photo, hole, **fields)).status_code == 200


async def test_what_is_switched_off_needs_no_weights(bare, photo, hole):
    fields = {"controlnet_method": "un/known", "brushnet_method": SEGMENTS, "fitting_degree": "0.5"}
    assert (await post(bare, photo, hole, **fields)).status_code == 200


async def test_where_no_node_can_run_the_family_weights_do_not_matter(bare, photo, hole):
    bare.wanting = {"Painters": {"GPU": 1.0}}
    problem(await post(bare, photo, hole, enable_brushnet="1"), 503, "no-gpu")


async def test_a_complete_request_waits_for_its_node(service, photo, hole):
    service.wanting, service.can_grow = {"Painters": {"GPU": 1.0}}, True
    service.gateway.configure(IngressConfig(cold_wait_s=0.05))
    problem(await post(service, photo, hole, enable_brushnet="1"), 503, "warming-up")


async def test_iopaints_api_resolves_what_the_native_one_refuses(service, photo, hole):
    answer = await post_iopaint(
        service,
        photo,
        hole,
        enable_controlnet=True,
        enable_brushnet=True,
        enable_powerpaint_v2=True,
        sd_lcm_lora=True,
        sd_strength=0.5,
        brushnet_method="an/other",
        powerpaint_task="outpainting",
    )
    assert answer.status_code == 200, answer.text
    params = service.painters.seen[0].params
    on = (params.enable_brushnet, params.enable_controlnet, params.enable_powerpaint_v2)
    assert on == (True, False, False)
    assert not params.sd_lcm_lora
    assert (params.sd_strength, params.brushnet_method) == (1.0, None)


async def test_iopaints_api_ignores_what_the_model_does_not_take(bare, photo, hole):
    fields = {"enable_brushnet": True, "enable_powerpaint_v2": True, "model": "nine"}
    assert (await post_iopaint(bare, photo, hole, **fields)).status_code == 200
    assert not bare.painters.seen[0].params.enable_brushnet


async def test_iopaints_api_tells_of_missing_weights(bare, photo, hole):
    answer = await post_iopaint(bare, photo, hole, enable_controlnet=True)
    assert answer.status_code == 503
    assert f"'{CANNY}'" in answer.json()["errors"]


async def test_cards_tell_what_a_model_takes(bare, tmp_path):
    put(tmp_path, [CANNY])
    async with bare.client() as client:
        cards = {card["name"]: card for card in (await client.get("/models")).json()["models"]}
        one = (await client.get("/models/plain")).json()
    assert one == cards["plain"]
    states = {adapter["name"]: (adapter["role"], adapter["state"]) for adapter in one["adapters"]}
    assert states.keys() == ROLES.keys()
    assert states[CANNY] == ("controlnet-canny", "downloaded")
    assert states[RANDOM] == ("brushnet", "missing")
    taken = {
        name: (card["controlnets"], card["brushnets"], card["takes_powerpaint_v2"])
        for name, card in cards.items()
    }
    assert taken["plain"] == ([CANNY, OPENPOSE, DEPTH], [RANDOM, SEGMENTS], True)
    assert taken["nine"] == ([CANNY, OPENPOSE, DEPTH], [], False)
    assert taken["plain-xl"] == ([], [RANDOM_XL], False)
    assert taken["shower"] == taken["cv2"] == ([], [], False)
    assert EXAMPLE in cards["shower"]["parameters"]
    assert {"enable_brushnet", "brushnet_method"} <= {*cards["plain-xl"]["parameters"]}
    assert "enable_brushnet" not in cards["nine"]["parameters"]


SPECIAL = [
    {"model": "plain", "enable_controlnet": "1"},
    {"model": "plain", "enable_brushnet": "1"},
    {"model": "plain", "enable_powerpaint_v2": "1"},
    {"model": "shower"},
]


def files_of(photo, hole, fields):
    pictures = {"image": png(photo), "mask": png(hole)}
    return pictures | ({EXAMPLE: png(photo)} if fields["model"] == "shower" else {})


@pytest.mark.parametrize("fields", SPECIAL)
async def test_steps_are_told_as_of_any_other(service, photo, hole, fields):
    async with service.client() as client:
        answer = await client.post(
            "/inpaint",
            files=files_of(photo, hole, fields),
            data={"sd_steps": "2", "seed": "7"} | fields,
            headers={"accept": "text/event-stream"},
        )
    events = events_of(answer.text)
    assert [name for name, _ in events] == ["started", "step", "step", "result"]
    image = pixels(base64.b64decode(events[-1][1]["image"]))
    assert (image[52:58, 72:83] == (7, 2, 200)).all()


@pytest.mark.parametrize("fields", SPECIAL)
async def test_cancelling_ends_the_run_as_of_any_other(service, photo, hole, fields):
    service.painters.gate = asyncio.Event()
    started = asyncio.Event()

    class Started(Watcher):
        def step(self, step):
            started.set()

    body = Body(files_of(photo, hole, fields), dict(fields))
    work = asyncio.create_task(
        service.gateway.inpaint(Account("my-id"), body, Deadline.after(9), watch=Started())
    )
    await asyncio.wait_for(started.wait(), 5)
    assert service.gateway.cancel_here("my-id")
    with pytest.raises(RequestCancelledError):
        await work
    assert service.painters.cancelled == 1
