"""Poses of people in a picture, for ControlNets that keep to them.

They are found by OpenPose in the package controlnet_aux, which is not among this project's extras:
it needs torchvision, and its part for OpenPose is under a licence for non-commercial use.
"""

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image as Pictures

from deployments.models.stable_diffusion_calls import Order
from deployments.models.stable_diffusion_files import hubs_for
from deployments.models.stable_diffusion_shared import Shared
from deployments.weights.layout import HUB, repository_folder
from inpaint.arrays import Image
from inpaint.errors import ExtraMissingError, WeightsMissingError

ROLE = "controlnet-openpose"
PACKAGE = "controlnet_aux"
REPOSITORY = "lllyasviel/Annotators"
FILES = ("body_pose_model.pth", "hand_pose_model.pth", "facenet.pth")
"""What the package reads of a folder."""


def detector_for(shared: Shared, order: Order) -> Any:
    """OpenPose, loaded.

    Args:
        shared: keeps it.
        order: the ControlNet's folder lies in the model directory where its weights lie.

    Raises:
        ExtraMissingError: the package is not installed.
        WeightsMissingError: its weights are not in the model directory.
    """
    detector_class = _detector_class()
    folder = find_weights(order.adapters[ROLE])
    return shared.shelf.get(folder, partial(_read_for, shared, detector_class))


def pose_map(image: Image, detector: Any, shared: Shared) -> Pictures.Image:
    """Bodies, hands and faces as coloured lines on black.

    The shorter side has 512 pixels, as in IOPaint; the pipeline brings it to the picture's size.
    """
    with shared.computing(detector):
        picture: Pictures.Image = detector(image, include_hand=True, include_face=True)
    return picture


def find_weights(controlnet: Path) -> Path:
    """The folder with the detector's weights.

    Raises:
        WeightsMissingError: there is none.
    """
    for hub in hubs_for(controlnet):
        for folder in sorted(repository_folder(hub, REPOSITORY).glob("snapshots/*")):
            if all((folder / name).is_file() for name in FILES):
                return folder
    raise WeightsMissingError(
        f"A ControlNet for poses needs {', '.join(FILES)} of {REPOSITORY} in the model directory: "
        f"`hf download {REPOSITORY} {' '.join(FILES)} --cache-dir MODEL_DIR/{HUB}`."
    )


def _detector_class() -> Any:
    try:
        return import_module(PACKAGE).OpenposeDetector
    except (ImportError, RuntimeError) as error:  # the second where torchvision is broken
        raise ExtraMissingError(
            f"A ControlNet for poses needs the Python package {PACKAGE}, which is not installed on "
            "the server, or does not work there."
        ) from error


def _read_for(shared: Shared, detector_class: Any, folder: Path) -> Any:
    return shared.place(detector_class.from_pretrained(str(folder)))
