"""A service over real HTTP, and a client of it."""

import pytest

from inpaint_client import Client
from tests.conftest import png
from tests.fake_diffusion import FakePainters
from tests.live_service import live_service
from tests.local_service import ScriptedReader


@pytest.fixture(scope="module")
def shared_live(tmp_path_factory):
    with live_service(tmp_path_factory.mktemp("models")) as running:
        yield running


@pytest.fixture
def live(shared_live):
    """The service as it was when it was new."""
    service = shared_live.service
    vars(service.painters).update(vars(FakePainters()))
    vars(service.reader).update(vars(ScriptedReader()))
    service.families["Erase"].fail_with.clear()
    return shared_live


@pytest.fixture
def service(live):
    return live.service


@pytest.fixture
def client(live):
    with Client(live.url) as client:
        yield client


@pytest.fixture
def files(photo, hole):
    """Picture and mask as PNG bytes."""
    return png(photo), png(hole)
