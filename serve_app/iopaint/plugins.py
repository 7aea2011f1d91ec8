"""The plugin of /api/v1: text. Its mask, and the picture without it, are those of /remove-text.

IOPaint's page draws its menu from six names that are built into it, and fails altogether where
`server-config` has another. So the plugin goes by the name of one whose menu has both entries,
"Generate Mask" and "Remove Background", and which has no models to choose from in the settings.
"""

from pydantic import BaseModel, Field

from inpaint.errors import ParamsError
from inpaint.specs import ModelSpec
from serve_app.iopaint.models import PluginInfo

TEXT = "RemoveText"
"""What the plugin is called by clients that know this server."""
PAGE_NAME = "AnimeSeg"
"""What IOPaint's page knows it by: "Anime Segmentation" of its menu."""

PLUGIN = PluginInfo(name=PAGE_NAME, support_gen_image=True, support_gen_mask=True)


class RunPlugin(BaseModel):
    """A request of IOPaint's clients."""

    name: str = Field(description=f"{TEXT}, or {PAGE_NAME} as IOPaint's page calls it.")
    image: str = Field(description="The picture: base64 or a data: URL.")
    clicks: list[list[int]] = Field(default=[], description="IOPaint's; of no effect.")
    scale: float = Field(default=2.0, description="IOPaint's; of no effect.")


class SwitchPluginModel(BaseModel):
    """POST /api/v1/switch_plugin_model."""

    plugin_name: str = Field(description=f"{TEXT} or {PAGE_NAME}.")
    model_name: str = Field(description="Of kind `ocr` in GET /models.")


def check_name(name: str) -> None:
    """Raise ParamsError for a plugin that is not here."""
    if name not in (TEXT, PAGE_NAME):
        raise ParamsError(
            f"Plugin not found. This server has one, '{TEXT}', which finds text; IOPaint's page "
            f"knows it as '{PAGE_NAME}'."
        )


def check_model(asked: SwitchPluginModel, reader: ModelSpec) -> None:
    """Raise ParamsError for a plugin or a model of it that is not here.

    Args:
        asked: the request.
        reader: the only model that reads text.
    """
    check_name(asked.plugin_name)
    if asked.model_name not in (reader.name, *reader.aliases):
        raise ParamsError(f"This plugin has one model, '{reader.name}'.")
