"""The weights store: where a model's weights lie, whether they may be loaded, and fetching them.

Nothing here imports torch: the edge and the command line use it too.
"""

from deployments.weights.checksums import is_torchscript
from deployments.weights.desk import WeightsDesk, open_desk
from deployments.weights.discovery import discover, with_discovered
from deployments.weights.extras import is_extra_installed
from deployments.weights.fetching import fetch
from deployments.weights.layout import default_model_dir
from deployments.weights.progress import OnProgress, Progress
from deployments.weights.store import WeightsStore

__all__ = [
    "OnProgress",
    "Progress",
    "WeightsDesk",
    "WeightsStore",
    "default_model_dir",
    "discover",
    "fetch",
    "is_extra_installed",
    "is_torchscript",
    "open_desk",
    "with_discovered",
]
