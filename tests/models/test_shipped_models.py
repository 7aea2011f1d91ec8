"""Every model of configs/models: its runner imports, and its licence is stated."""

import pytest

from deployments.runners import load_runner
from inpaint.catalog import Catalog
from inpaint.resources import configs_dir
from inpaint.specs import Kind

METHODS = {Kind.ERASE: "forward", Kind.DIFFUSION: "paint", Kind.OCR: "read"}
CATALOG = Catalog.from_dirs([configs_dir() / "models"])


@pytest.mark.parametrize("spec", CATALOG.models, ids=lambda spec: spec.name)
def test_shipped_model_has_a_runner_and_a_licence(spec):
    runner = load_runner(spec)
    assert callable(runner.load)
    assert callable(getattr(runner, METHODS[spec.kind]))
    assert spec.licence.name
    assert spec.description
    assert all(file.md5 for file in spec.weights)
