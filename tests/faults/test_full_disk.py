"""A model directory without room: a small file system of its own, where one can be mounted."""

import asyncio
import subprocess
import time

import pytest

from tests.api.test_inpaint import form, problem
from tests.local_service import LocalService
from tests.weights_server import weights_server

FILE = "/stored-fill.bin"
DISK_BYTES = 2**20
CONTENT = b"numbers, and nothing else" * (3 * DISK_BYTES // 100)  # three quarters of the disk
BALLAST = "ballast"
LIMIT_S = 10


@pytest.fixture
def disk(tmp_path):
    """A folder on a disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def weights(monkeypatch):
    with weights_server() as server:
        monkeypatch.setenv("STORED_FILL_MODEL_URL", server.put(FILE, CONTENT))
        yield server


async def test_what_does_not_fit_is_refused_and_comes_once_there_is_room(
    disk, weights, photo, hole
):
    fill(disk)
    service = LocalService(disk, may_fetch=True)
    async with service.client() as client, service.client(service.another_gateway()) as other:
        await refused(client, disk, photo, hole)
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
        assert answer.status_code == 200, answer.text
        (disk / BALLAST).unlink()
        await fetched(other, disk, photo, hole)  # the first one rests for a minute


async def test_a_disk_that_fills_up_during_a_download_keeps_no_half_of_it(
    disk, weights, photo, hole
):
    weights.gate.clear()
    service = LocalService(disk, may_fetch=True)
    async with service.client() as client, service.client(service.another_gateway()) as other:
        await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
        await until(lambda: [*disk.rglob("*.part")])  # room was found, and bytes are waited for
        fill(disk)
        weights.gate.set()
        await refused(client, disk, photo, hole)
        (disk / BALLAST).unlink()
        await fetched(other, disk, photo, hole)


async def refused(client, disk, photo, hole):
    """The model is refused for want of room, and nothing of it lies about."""
    answer = await asked(client, photo, hole, lambda one: type_of(one) == "weights-missing")
    assert "the disk of the model directory" in problem(answer, 503, "weights-missing")
    assert files(disk) == {BALLAST: DISK_BYTES // 2}


async def fetched(client, disk, photo, hole):
    """The model is there and paints."""
    answer = await asked(client, photo, hole, lambda one: one.status_code == 200)
    assert answer.headers["X-Model"] == "stored-fill"
    assert list(files(disk).values()) == [len(CONTENT)]


async def asked(client, photo, hole, is_it):
    """The first answer to a request for the model that `is_it` is true of."""
    end = time.monotonic() + LIMIT_S
    while not is_it(
        answer := await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
    ):
        assert time.monotonic() < end, answer.text
        await asyncio.sleep(0.02)
    return answer


async def until(what):
    end = time.monotonic() + LIMIT_S
    while not what():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def fill(disk):
    """Leave less room than the weights need."""
    (disk / BALLAST).write_bytes(bytes(DISK_BYTES // 2))


def files(folder):
    """Every file below a folder that takes room, with its size; no notes on how to go on."""
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return {
        str(path.relative_to(folder)): size
        for path, size in sizes.items()
        if size and path.suffix != ".json"
    }


def type_of(answer):
    """The code of an error; empty for an answer that is none."""
    return "" if answer.is_success else answer.json()["type"].removeprefix("/problems/")
