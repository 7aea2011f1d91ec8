"""Plugins of IOPaint's page: here one, which finds text; see serve_app/iopaint/plugins.py."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from inpaint.codecs import Format
from serve_app import answers, bodies
from serve_app.accounts import account_of
from serve_app.bodies import Body, Value
from serve_app.gateway import Gateway
from serve_app.iopaint import openapi
from serve_app.iopaint.masks import drawn
from serve_app.iopaint.plugins import RunPlugin, SwitchPluginModel, check_model, check_name
from serve_app.iopaint.requests import read_json
from serve_app.requests import deadline_of
from serve_app.routes.receiving import receive
from serve_app.text_removal import TextResult


def add_plugins(router: APIRouter, gateway: Gateway) -> None:
    """The three routes, over `gateway`."""

    async def run(request: Request, fields: dict[str, Value]) -> TextResult:
        deadline = deadline_of(request, gateway.config)
        picture = await receive(request, gateway, _picture)
        body = Body({"image": picture}, fields)
        return await gateway.remove_text(account_of(request.scope), body, deadline)

    @router.post("/run_plugin_gen_mask", **openapi.GEN_MASK)
    async def gen_mask(request: Request) -> Response:
        """Where the text of a picture is: a PNG in the page's brush colour.

        It is the mask of POST /remove-text. The page adds it to what is painted.
        """
        done = await run(request, {"dry_run": True})
        png = await gateway.off_loop(drawn, done.mask)
        return Response(png, media_type=Format.PNG.media_type)

    @router.post("/run_plugin_gen_image", **openapi.GEN_IMAGE)
    async def gen_image(request: Request) -> Response:
        """The picture without its text, as a PNG: POST /remove-text with its defaults."""
        done = await run(request, {"format": Format.PNG})
        request_id = account_of(request.scope).request_id
        return await gateway.off_loop(answers.of_text, done, request_id, as_json=False)

    @router.post("/switch_plugin_model", **openapi.SWITCH_PLUGIN_MODEL)
    async def switch_plugin_model(request: Request) -> None:
        """Accept the one model that the plugin has, and refuse others."""
        asked = await receive(
            request, gateway, lambda kind, body: read_json(kind, body, SwitchPluginModel)
        )
        check_model(asked, gateway.reader)


def _picture(content_type: str, body: bytes) -> bytes:
    """The picture of a request for a plugin that is here."""
    asked = read_json(content_type, body, RunPlugin)
    check_name(asked.name)
    return bodies.from_base64("image", asked.image)
