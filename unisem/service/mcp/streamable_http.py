"""`serve_http`: how clients reach a space over streamable HTTP."""

from __future__ import annotations

import socket

from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from unisem.service.http.guard import Guard
from unisem.service.http.server import serve
from unisem.service.mcp.server import McpService
from unisem.service.settings import ServiceSettings

PATH = "/mcp"
"""Where streamable HTTP is served."""


def serve_http(service: McpService, settings: ServiceSettings, listener: socket.socket) -> None:
    """Serve streamable HTTP until SIGINT or SIGTERM.

    Args:
        service: The service.
        settings: As of `app_of`.
        listener: Where to listen.
    """
    serve(app_of(service, settings), settings, listener)


def app_of(service: McpService, settings: ServiceSettings) -> ASGIApp:
    """The service over streamable HTTP, each request on its own: there are no sessions.

    Args:
        service: The service.
        settings: Hosts that may be named, and how large a body may be.
    """
    app = service.server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,
        max_request_body_size=settings.body_bytes,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )

    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            service.admitted(Headers(scope=scope).get("authorization"))
        await app(scope, receive, send)

    return Guard(known, settings)  # which says what is refused, and checks whence a request comes
