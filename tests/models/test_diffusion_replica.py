"""A real checkpoint on the replica: progress, stopping, and what completes a checkpoint."""

import asyncio

import numpy as np
import pytest

from deployments.diffusion import DiffusionReplica
from deployments.family import FamilySetup
from inpaint.protocols import Painted
from inpaint.specs import AdapterSpec, DiffusionFacts, Licence
from tests.models.painting import QUICK, SPEC, difference, load, paint, picture
from tests.standins.diffusion import random_unet, write_lcm_lora


@pytest.fixture
def checkpoint(diffusion_folder):
    return diffusion_folder("sd15", 9)


@pytest.fixture
def replica(checkpoint, tmp_path):
    lora = AdapterSpec(
        name="lora",
        role="lcm-lora",
        bases=("sd15",),
        licence=Licence(name="none"),
        path=write_lcm_lora(tmp_path / "lora", random_unet("sd15", 9)),
        memory_mb=1,
    )
    facts = DiffusionFacts(base="sd15", inpainting=True)
    spec = SPEC.model_copy(update={"path": checkpoint, "diffusion": facts})

    async def report(what):
        pass

    setup = FamilySetup("SD15", (spec,), "cpu", adapters=(lora,))
    replica = DiffusionReplica(setup, "replica-1", report)
    replica.reconfigure({"threads": 1})
    return replica


async def run(replica, previews=False, **params):
    wanted = QUICK.model_copy(update=params)
    return [event async for event in replica.paint("tiny", *picture(), wanted, previews)]


async def test_steps_come_with_previews_and_then_the_models_own_picture(replica, checkpoint):
    *steps, painted = await run(replica, previews=True)
    assert [(step.number, step.total) for step in steps] == [(1, 3), (2, 3), (3, 3)]
    assert {step.preview.shape for step in steps} == {(8, 12, 3)}
    assert isinstance(painted, Painted)
    assert difference(painted.image, paint(load(checkpoint))) < 0.5  # threads may round otherwise


async def test_a_run_that_is_stopped_leaves_nothing_behind(replica):
    *_, before = await run(replica)
    stopped = replica.paint("tiny", *picture(), QUICK.model_copy(update={"sd_steps": 50}))
    assert (await anext(stopped)).number == 1
    await stopped.aclose()
    *_, after = await asyncio.wait_for(run(replica), 30)
    np.testing.assert_array_equal(after.image, before.image)
    await replica.check_health()


async def test_the_lora_is_found_when_it_is_asked_for(replica):
    *_, plain = await run(replica)
    *_, quick = await run(replica, sd_lcm_lora=True, sd_sampler="LCM")
    *_, without = await run(replica, sd_sampler="LCM")
    *_, again = await run(replica)
    assert difference(quick.image, without.image) > 1
    np.testing.assert_array_equal(again.image, plain.image)
