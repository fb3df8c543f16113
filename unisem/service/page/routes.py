"""`page_router`: the page's files at ``/`` and ``/page/``, with the policy that confines them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import PurePosixPath

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

PAGE_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",  # a record's picture, and the one that is looked for
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",  # a string that would become HTML is an error
        "trusted-types 'none'",
    ]
)
"""The content security policy of the page: its own files and service, and nothing inline."""

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Cache-Control": "no-cache",  # asked for each time, sent when another version runs
    "Content-Security-Policy": PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it is sent."""

    content: bytes
    media_type: str
    etag: str


@cache
def _files() -> dict[str, _File]:
    """The page's files by name, read once; no name in a request ever becomes a path."""
    found = {}
    for entry in resources.files("unisem.service.page").joinpath("files").iterdir():
        if (media_type := _TYPES.get(PurePosixPath(entry.name).suffix)) is not None:
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[entry.name] = _File(content, media_type, etag)
    return found


def page_router() -> APIRouter:
    """The routes of the page. They need no token: the page asks for one, and holds no records."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        return _sent("index.html", request)

    @router.api_route("/page/{name}", methods=["GET", "HEAD"])
    async def file(name: str, request: Request) -> Response:
        return _sent(name, request)

    return router


def _sent(name: str, request: Request) -> Response:
    file = _files().get(name)
    if file is None:
        return PlainTextResponse("The page has no such file.\n", 404, headers=_HEADERS)
    headers = {**_HEADERS, "ETag": file.etag}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
