"""`Forwarding`: what writes is done by the one process that may."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from unisem.service.refusal import RefusedError
from unisem.service.settings import ServiceSettings

_WRITTEN = re.compile(
    r"/v1/spaces/[^/]+/"
    r"(records(/delete)?|store/(add|delete|update|calibrate)|label/(next|answer|undo))"
)
_ONE = re.compile(r"/v1/spaces/[^/]+/records/[^/]+")
_PAUSE = 0.1  # seconds between two tries to reach a writer that is being started again
_OWN = ("connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer")
"""Headers that are of one connection only."""


class Forwarding:
    """Sends requests that write to the process that writes, and answers what that answers.

    A request that has reached it is not sent again: whether it was done is known only to whom it
    is answered. While there is no such process, as it is just being started again, it is waited
    for.

    Args:
        app: What answers all other requests.
        writer: The Unix socket of the process that writes.
        settings: How long an answer may take.
    """

    def __init__(self, app: ASGIApp, writer: Path, settings: ServiceSettings) -> None:
        self._app = app
        self._settings = settings
        self._writer = str(writer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or not _writes(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        response = await self._answer(request, await request.body())
        await response(scope, receive, send)

    async def _answer(self, request: Request, body: bytes) -> Response:
        query: bytes = request.scope["query_string"]
        path = request.scope["path"].encode("latin-1")
        # To the letter: a URL would lose dots and what follows a #, and name another record.
        target = {"target": path + (b"?" + query if query else b"")}
        headers = [it for it in request.headers.raw if it[0].decode("latin-1") not in _OWN]
        headers = [it for it in headers if it[0] != b"content-length"]
        deadline = time.monotonic() + self._settings.seconds
        # One connection a request: after a fork or a crash none can be left half used.
        transport = httpx.AsyncHTTPTransport(uds=self._writer)
        async with httpx.AsyncClient(transport=transport, timeout=None) as client:  # noqa: S113
            while True:
                left = deadline - time.monotonic()
                sent = client.request(
                    request.method,
                    "http://writer/",
                    headers=headers,
                    content=body,
                    extensions=target,
                )
                try:
                    answer = await asyncio.wait_for(sent, max(left, 0))
                    break
                except httpx.ConnectError:
                    if left < _PAUSE:
                        raise _gone("the process that writes is not there") from None
                    await asyncio.sleep(_PAUSE)
                except TimeoutError:
                    raise _begun("this takes too long now") from None
                except httpx.TransportError:
                    raise _begun("the process that writes ended") from None
        response = Response(answer.content, answer.status_code)
        response.raw_headers = [
            (name.lower(), value)
            for name, value in answer.headers.raw
            if name.lower().decode("latin-1") not in (*_OWN, "date")
        ]
        return response


def _writes(method: str, path: str) -> bool:
    if method in ("PATCH", "DELETE"):
        return _ONE.fullmatch(path) is not None
    return method == "POST" and _WRITTEN.fullmatch(path) is not None


def _begun(detail: str) -> RefusedError:
    """What may have been done, and would be done twice if it were sent again."""
    return RefusedError(
        503,
        f"{detail}; what was sent may have been done, or be done yet",
        remedy="look whether it was before you send it again",
    )


def _gone(detail: str) -> RefusedError:
    return RefusedError(503, detail, remedy="try again", retry_after=1)
