"""Marks by folder, and pictures that every tier uses."""

import gc
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings

# No deadline: a busy machine is no defect. Fewer examples than the default 100, to be quick.
settings.register_profile("quick", deadline=None, max_examples=30)
settings.load_profile("quick")

TESTS = Path(__file__).parent
TIERS = (
    "unit",
    "api",
    "client",
    "cli",
    "models",
    "serve",
    "clusters",
    "parity",
    "e2e",
    "page",
    "k8s",
    "faults",
    "fuzz",
)


def pytest_collection_modifyitems(items):
    """A test's tier is its folder, so that nobody forgets a marker."""
    for item in items:
        tier = item.path.relative_to(TESTS).parts[0]
        if tier in TIERS:
            item.add_marker(tier)


def pytest_collection_finish():
    """What imports and collection made stays to the end: no collection need look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def photo(rng):
    """(120, 160, 3) uint8 RGB with structure at several scales."""
    coarse = rng.integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def hole():
    """(120, 160) uint8 binary mask with one rectangle."""
    mask = np.zeros((120, 160), np.uint8)
    mask[40:70, 60:95] = 255
    return mask


def png(array):
    """A PNG of an RGB, RGBA or grey uint8 array."""
    order = {2: None, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    code = order[array.ndim if array.ndim == 2 else array.shape[2]]
    return cv2.imencode(".png", array if code is None else cv2.cvtColor(array, code))[1].tobytes()


def pixels(data):
    """The array of an image file, RGB(A) or grey, decoded by OpenCV."""
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array.ndim == 2:
        return array
    code = cv2.COLOR_BGR2RGB if array.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return cv2.cvtColor(array, code)
