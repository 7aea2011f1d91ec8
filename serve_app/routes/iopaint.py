"""IOPaint 1.6's routes, answered as IOPaint answers them; see docs/iopaint-api.md."""

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from inpaint.errors import UnknownFileError
from inpaint.settings import IOPaintArgs
from inpaint.specs import ModelSpec
from serve_app.accounts import account_of
from serve_app.answers import headers_of
from serve_app.gateway import Gateway
from serve_app.iopaint import files, openapi
from serve_app.iopaint.errors import PREFIX
from serve_app.iopaint.fields import order_of
from serve_app.iopaint.files import GenInfo
from serve_app.iopaint.masks import AdjustMask, adjusted
from serve_app.iopaint.media import MediaFolders
from serve_app.iopaint.models import SAMPLERS, ModelInfo, ServerConfig, SwitchModel
from serve_app.iopaint.plugins import PLUGIN
from serve_app.iopaint.requests import read_file, read_inpaint, read_json
from serve_app.requests import deadline_of
from serve_app.routes.iopaint_media import add_media
from serve_app.routes.iopaint_plugins import add_plugins
from serve_app.routes.receiving import receive
from serve_app.sockets.progress import Announcer


def iopaint_routes(gateway: Gateway, args: IOPaintArgs, announcer: Announcer) -> APIRouter:
    """Routes over `gateway`.

    Args:
        gateway: does the work.
        args: what IOPaint's command line sets.
        announcer: tells the page's socket of its requests.
    """
    router = APIRouter(prefix=PREFIX, tags=["IOPaint"])
    _add_inpaint(router, gateway, args, announcer)
    folders = MediaFolders(args)
    _add_models(router, gateway, args, folders)
    _add_tools(router, gateway)
    _add_files(router, gateway, args)
    add_plugins(router, gateway)
    add_media(router, gateway, folders)
    return router


def _add_inpaint(
    router: APIRouter, gateway: Gateway, args: IOPaintArgs, announcer: Announcer
) -> None:
    @router.post("/inpaint", **openapi.INPAINT)
    async def inpaint(request: Request) -> Response:
        """Erase what the mask marks and fill the hole.

        The answer is the picture in the format that came in; X-Seed is the request's seed. The
        browser's socket (/socket.io) hears of each step of a model with a prompt.
        """
        deadline = deadline_of(request, gateway.config)
        fields, body = await receive(request, gateway, read_inpaint)
        with announcer.announced(request) as watch:
            result = await gateway.inpaint(
                account_of(request.scope),
                body,
                deadline,
                lambda _, find, until: order_of(fields, args.quality, find, until),
                watch,
            )
        headers = headers_of(result) | {"X-Seed": str(fields.sd_seed)}
        return Response(result.data, media_type=result.format.media_type, headers=headers)


def _add_models(
    router: APIRouter, gateway: Gateway, args: IOPaintArgs, folders: MediaFolders
) -> None:
    def info_of(spec: ModelSpec) -> ModelInfo:
        return ModelInfo.of(spec, gateway.adapters(spec))

    @router.get("/server-config", **openapi.SERVER_CONFIG)
    async def server_config() -> ServerConfig:
        """What this server offers to IOPaint's page."""
        default = info_of(await gateway.default_model())
        plugins = (PLUGIN,) if gateway.reads_text else ()
        has_files = await gateway.off_loop(folders.are_open)
        models = map(info_of, gateway.erasers)
        return ServerConfig.of(models, default, args, plugins, has_files)

    @router.get("/samplers", **openapi.SAMPLERS)
    async def samplers() -> tuple[str, ...]:
        """IOPaint's names of diffusion samplers."""
        return SAMPLERS

    @router.get("/model", **openapi.MODEL)
    async def current_model() -> ModelInfo:
        """The model of requests that name none."""
        return info_of(await gateway.default_model())

    @router.post("/model", **openapi.SWITCH_MODEL)
    async def switch_model(request: Request) -> ModelInfo:
        """Change it for every request that names none, on every ingress replica.

        This replica does so at once, the others within about a second. Of two changes at once
        the later one holds.
        """
        asked = await receive(
            request, gateway, lambda kind, body: read_json(kind, body, SwitchModel)
        )
        return info_of(await gateway.choose_default(asked.name))


def _add_tools(router: APIRouter, gateway: Gateway) -> None:
    @router.post("/adjust_mask", **openapi.ADJUST_MASK)
    async def adjust_mask(request: Request) -> Response:
        """Grow, shrink or turn over a mask; the answer is a PNG in the page's brush colour."""
        asked = await receive(
            request, gateway, lambda kind, body: read_json(kind, body, AdjustMask)
        )
        png = await gateway.off_loop(adjusted, asked, gateway.limits)
        return Response(png, media_type="image/png")

    @router.post("/gen-info", **openapi.GEN_INFO)
    async def gen_info(request: Request) -> GenInfo:
        """The prompt in a picture's "parameters" text, which picture generators write."""
        _, data = await receive(request, gateway, read_file)
        return await gateway.off_loop(files.gen_info, data, gateway.limits)


def _add_files(router: APIRouter, gateway: Gateway, args: IOPaintArgs) -> None:
    @router.get("/inputimage", **openapi.INPUT_IMAGE)
    async def input_image() -> FileResponse:
        """The picture that the page opens with."""
        if args.input is None:
            raise UnknownFileError("No input image is configured: start with --input FILE.")
        if not await gateway.off_loop(args.input.is_file):
            raise UnknownFileError("The configured input is no file, so there is no input image.")
        return FileResponse(args.input)

    @router.post("/save_image", **openapi.SAVE_IMAGE)
    async def save_image(request: Request) -> None:
        """Write a picture into the server's output directory."""
        name, data = await receive(request, gateway, read_file)
        await gateway.off_loop(files.save, args.output_dir, name, data, gateway.limits)
