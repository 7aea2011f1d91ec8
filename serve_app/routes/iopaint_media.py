"""The file manager of IOPaint's page: folders of pictures, shown and handed out."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from serve_app.gateway import Gateway
from serve_app.iopaint import openapi
from serve_app.iopaint.media import LONGEST_THUMBNAIL_PX, Media, MediaFolders, Tab

TabField = Annotated[
    Tab, Query(description="The folder of --input, --output-dir or --mask-dir.", examples=["input"])
]
NameField = Annotated[
    str, Query(description="One of GET /api/v1/medias; no path.", examples=["photo.png"])
]
SideField = Annotated[
    int,
    Query(
        ge=0,
        description="In pixels, 0 for what fits the other; the width counts before the height. "
        f"At most the picture's own, and {LONGEST_THUMBNAIL_PX} a side.",
        examples=[256],
    ),
]


def add_media(router: APIRouter, gateway: Gateway, folders: MediaFolders) -> None:
    """The three routes, over `folders`."""

    @router.get("/medias", **openapi.MEDIAS)
    async def medias(tab: TabField) -> tuple[Media, ...]:
        """The pictures of a folder, by name. A folder that is not configured is empty."""
        return await gateway.off_loop(folders.listed, tab)

    @router.get("/media_file", **openapi.MEDIA_FILE)
    async def media_file(tab: TabField, filename: NameField) -> Response:
        """One of them, as it lies there."""
        data, format_ = await gateway.off_loop(folders.read, tab, filename, gateway.max_body_bytes)
        return Response(data, media_type=format_.media_type)

    @router.get("/media_thumbnail_file", **openapi.MEDIA_THUMBNAIL)
    async def media_thumbnail_file(
        tab: TabField, filename: NameField, width: SideField, height: SideField
    ) -> Response:
        """A small JPEG of one of them; X-Width and X-Height are its size in pixels."""
        limits, most = gateway.limits, gateway.max_body_bytes
        data, (high, wide) = await gateway.off_loop(
            folders.thumbnail, tab, filename, width, height, most, limits
        )
        headers = {"X-Width": str(wide), "X-Height": str(high)}
        return Response(data, media_type="image/jpeg", headers=headers)
