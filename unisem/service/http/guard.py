"""`Guard`: what holds for every request, before any route sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unisem.service.http.problems import problem, refusal_of
from unisem.service.http.values import ValueCount
from unisem.service.principals import ANYONE, Principal
from unisem.service.refusal import RefusedError, busy
from unisem.service.settings import ServiceSettings

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cache-Control": "no-store",
}
"""Of every answer that does not say otherwise."""
PRINCIPAL = "unisem.principal"
"""The key of a scope under which stands who asks."""
_FOR_ALL = ("/", "/health", "/ready", "/openapi.json")
_AT_THE_DOOR = 1.0  # seconds, as long as a refusal asks for
_SAFE = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Routes by the path as it was sent, checks whence a request comes, and bounds its body.

    * A path is not decoded before it is routed, so that any record's id is one segment of it.
    * The ``Host`` header must be one of the settings', which a page of another site that has
      its name point here (DNS rebinding) cannot fake. Another site's page cannot write, either:
      what changes something must not have another ``Origin``.
    * A body that is too large, has too many values, or takes too long to arrive, is not read to its
      end.
    * Whoever asks has a token that is known, if there are tokens, before a byte of the body is
      read; only the page, the OpenAPI document and the two questions of a supervisor are for all.
    * Of more requests at a time than may wait or be worked at the rest stand at the door for a
      second and are refused then (429), before a byte of the body is read: so refusing costs
      little of the time that answers need, however often it is asked again.
    * Every answer has headers that keep browsers from guessing, framing and running anything.

    Args:
        app: The application.
        settings: The limits.
        who: Says who asks by the ``Authorization`` header, or raises a `RefusedError`.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServiceSettings,
        who: Callable[[str | None], Principal] = lambda authorization: ANYONE,
    ) -> None:
        self._app = app
        self._settings = settings
        self._who = who
        self._places = asyncio.Semaphore(settings.queue + settings.batch)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = {**scope, "path": sent_path(scope)}
        answer = _Answer(send)
        try:
            self._check(scope)
            async with nullcontext() if _is_cheap(scope["path"]) else self._place():
                body = _Body(scope, receive, self._settings)
                await self._app(scope, body.receive, _unless(body, answer.send))
                if body.refusal is not None:
                    raise body.refusal
        except Exception as error:
            if answer.has_begun:
                raise
            refusal = refusal_of(error)
            response = problem(refusal, scope["path"])
            if refusal.status in (408, 413):  # what is left of the body is not read
                response.headers["Connection"] = "close"
            await response(scope, receive, answer.send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._settings.hosts is not None and _name(host) not in self._settings.hosts:
            raise RefusedError(
                421,
                "this service has no such name",
                remedy="use the address that it was started with, or allow the name with "
                "--allow-host",
            )
        origin = headers.get("origin")
        is_foreign = origin is not None and origin.partition("://")[2] != host
        if is_foreign and scope["method"] not in _SAFE:
            raise RefusedError(403, "pages of other sites may not write here")
        if not _is_for_all(scope["path"]):
            scope[PRINCIPAL] = self._who(headers.get("authorization"))
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length[:18]) > self._settings.body_bytes:
            raise _too_large(self._settings)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Be one of the requests that are under way."""
        try:
            await asyncio.wait_for(self._places.acquire(), _AT_THE_DOOR)
        except TimeoutError:
            raise busy() from None
        try:
            yield
        finally:
            self._places.release()


class _Answer:
    """Sends an answer, with the headers that every one has."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


class _Body:
    """A request's body as it arrives, within the limits."""

    def __init__(self, scope: Scope, receive: Receive, settings: ServiceSettings) -> None:
        kind = Headers(scope=scope).get("content-type", "")
        self._values = None if is_form(kind) else ValueCount()  # a form's JSON is, later
        self._receive = receive
        self._settings = settings
        self._size = 0
        self._is_whole = False
        self._deadline = time.monotonic() + settings.seconds
        self.refusal: RefusedError | None = None

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()
        try:
            left = max(0.0, self._deadline - time.monotonic())
            message: Any = await asyncio.wait_for(self._receive(), left)
        except TimeoutError:
            self.refusal = RefusedError(408, "the request took too long to arrive")
            raise self.refusal from None
        piece = message.get("body", b"")
        self._size += len(piece)
        self._is_whole = not message.get("more_body", False)
        if self._size > self._settings.body_bytes:
            self.refusal = _too_large(self._settings)
            raise self.refusal
        if self._values is not None and self._values.take(piece) > self._settings.values:
            self.refusal = too_many_values(self._settings)
            raise self.refusal
        return message  # type: ignore[no-any-return]


def _is_for_all(path: str) -> bool:
    return path in _FOR_ALL or path.startswith("/page/")


def _is_cheap(path: str) -> bool:
    """Whether it is answered though others wait: whoever looks after the service must be told."""
    return path == "/metrics" or _is_for_all(path)


def sent_path(scope: Scope) -> str:
    """A request's path as it was sent, percent-encoded."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1")


def is_form(content_type: str) -> bool:
    """Whether a body is a form with files."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def too_many_values(settings: ServiceSettings) -> RefusedError:
    """JSON that would take long to parse."""
    return RefusedError(
        413,
        f"the body has more than {settings.values:,} values",
        remedy="send less at a time",
    )


def _unless(body: _Body, send: Send) -> Send:
    """Sends what the app answers, unless the body was refused, whatever the app made of that."""

    async def sending(message: Message) -> None:
        if body.refusal is None:
            await send(message)

    return sending


def _too_large(settings: ServiceSettings) -> RefusedError:
    return RefusedError(
        413,
        f"the body is larger than {settings.body_bytes:,} bytes",
        remedy="send less at a time",
    )


def _name(host: str) -> str:
    """A host without its port."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdecimal() else host).lower()
