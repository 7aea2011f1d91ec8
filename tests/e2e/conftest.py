"""`serve run serve_config.yaml` as a process, as an operator starts it."""

import pytest
import yaml

from benchmarks.servers import serve_run
from inpaint.resources import default_serve_config


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    """The shipped config, on a free port, with an empty model directory, asking no network."""
    document = yaml.safe_load(default_serve_config().read_text())
    document["applications"][0]["args"]["local_files_only"] = True
    empty = {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")), "RAY_AUTH_MODE": "disabled"}
    with serve_run(document, "/readyz", empty) as running:
        yield running
