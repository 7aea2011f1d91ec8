"""Every model of configs/models: its runner imports, and its licence is stated."""

import pytest

from deployments.runners import load_runner
from inpaint.catalog import Catalog
from inpaint.resources import configs_dir
from inpaint.specs import Kind

CATALOG = Catalog.from_dirs([configs_dir() / "models"])


@pytest.mark.parametrize("spec", CATALOG.models, ids=lambda spec: spec.name)
def test_shipped_model_has_a_runner_and_a_licence(spec):
    runner = load_runner(spec)
    assert callable(runner.load)
    assert callable(runner.read if spec.kind is Kind.OCR else runner.forward)
    assert spec.licence.name
    assert spec.description
    assert all(file.md5 for file in spec.weights)
