"""The table of docs/scaling.md says what the shipped configs set."""

import re
from pathlib import Path

import pytest
import yaml
from ray.serve.config import AutoscalingConfig

from inpaint.resources import configs_dir, default_serve_config

DOC = Path(__file__).parents[2] / "docs" / "scaling.md"
NAMES = ("Ingress", "Erase", "OCR", "SD15", "SDXL", "Special")
CONFIGS = [configs_dir() / "app" / "multi-gpu.yaml", default_serve_config()]


def rows():
    """Of each deployment: the cells' values of the first config, and those of the second."""
    found = {}
    for line in DOC.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in NAMES and len(cells) == 9:
            pairs = [re.fullmatch(r"([^(]*?)(?: \((.*)\))?", cell).groups() for cell in cells[1:]]
            found[cells[0]] = ([one for one, _ in pairs], [two or one for one, two in pairs])
    return found


def set_by(path, name):
    """What a config sets, in the order of the table's columns."""
    entries = yaml.safe_load(path.read_text())["applications"][0]["deployments"]
    entry = next(one for one in entries if one["name"] == name)
    scaling = AutoscalingConfig.model_validate(entry["autoscaling_config"])
    options = entry["ray_actor_options"]
    numbers = (
        scaling.target_ongoing_requests,
        entry["max_ongoing_requests"],
        entry["max_queued_requests"],
        scaling.upscale_delay_s,
        scaling.downscale_delay_s,
        options.get("num_gpus", 0),
        options["num_cpus"],
    )
    return [f"{scaling.min_replicas} to {scaling.max_replicas}", *(f"{one:g}" for one in numbers)]


@pytest.mark.parametrize("which", [0, 1], ids=["multi-gpu", "default"])
def test_the_table_is_what_the_config_sets(which):
    table = rows()
    assert table.keys() == set(NAMES)
    for name in NAMES:
        assert table[name][which] == set_by(CONFIGS[which], name), name
