"""A service over real HTTP, for commands that drive a server."""

import pytest

from tests.fake_diffusion import FakePainters
from tests.live_service import live_service


@pytest.fixture(scope="module")
def shared_live(tmp_path_factory):
    with live_service(tmp_path_factory.mktemp("models")) as running:
        yield running


@pytest.fixture
def live(shared_live):
    """The service as it was when it was new."""
    shared_live.service.families["Erase"].fail_with.clear()
    vars(shared_live.service.painters).update(vars(FakePainters()))
    return shared_live
