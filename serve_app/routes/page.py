"""The web page at / and its files under /web/; see docs/page.md."""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from serve_app.web_files import INDEX, PREFIX, WebFile, web_files

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
"""Content-Security-Policy: files of this origin and pictures that the page itself holds, nothing
inline, nothing from elsewhere."""

HEADERS = {
    "Cache-Control": "no-cache",  # kept, but asked for anew: a 304 unless the server was upgraded
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page_routes() -> APIRouter:
    """Routes over the files of `serve_app/web/`."""
    router = APIRouter(include_in_schema=False)
    files = web_files()

    @router.api_route(INDEX, methods=["GET", "HEAD"])
    async def index(request: Request) -> Response:
        """The page."""
        return _answer(request, files[INDEX])

    @router.api_route(PREFIX + "{name:path}", methods=["GET", "HEAD"])
    async def file(request: Request, name: str) -> Response:
        """A file of the page. Names are looked up, never opened."""
        found = files.get(PREFIX + name)
        if found is None:
            raise HTTPException(404)
        return _answer(request, found)

    return router


def _answer(request: Request, file: WebFile) -> Response:
    headers = {**HEADERS, "ETag": file.etag}
    known = request.headers.get("if-none-match", "")
    if file.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    body = b"" if request.method == "HEAD" else file.content
    headers["Content-Length"] = str(len(file.content))
    return Response(body, headers=headers, media_type=file.media_type)
