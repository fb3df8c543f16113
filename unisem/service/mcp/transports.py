"""How an assistant reaches a space: over the standard streams, or over streamable HTTP."""

from __future__ import annotations

from collections.abc import Callable

from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp

from unisem.service.http.guard import Guard
from unisem.service.http.server import address_of, listening, server_of
from unisem.service.mcp.server import McpService
from unisem.service.settings import ServiceSettings

PATH = "/mcp"
"""Where streamable HTTP is served."""


async def serve_streams(service: McpService) -> None:
    """Serve the process that started this one, until it closes the standard input.

    What anything else prints goes to the standard error, so that the protocol stays whole.
    """
    async with stdio_server() as (incoming, outgoing):
        await service.server.run(incoming, outgoing, service.server.create_initialization_options())


def serve_http(
    service: McpService,
    settings: ServiceSettings,
    host: str,
    port: int,
    *,
    told: Callable[[str], None],
) -> None:
    """Serve streamable HTTP until SIGINT or SIGTERM.

    Args:
        service: The service.
        settings: As of `app_of`.
        host: Where to listen.
        port: 0 for one that is free.
        told: Called with what a person should know.

    Raises:
        UniSemError: Nothing can listen there.
    """
    with listening(host, port) as listener:
        told(f"serving MCP at {address_of(listener)}{PATH}; stop with Ctrl-C")
        server_of(app_of(service, settings), settings).run(sockets=[listener])


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
    return Guard(app, settings)  # which checks whence a request comes
