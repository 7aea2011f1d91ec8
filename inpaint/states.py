"""Whether a model can answer, as GET /models and the command line tell it."""

from enum import StrEnum


class ModelState(StrEnum):
    """From least to most ready."""

    EXTRA_MISSING = "extra-missing"
    MISSING = "missing"
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    LOADED = "loaded"
