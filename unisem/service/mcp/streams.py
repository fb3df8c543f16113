"""`serve_streams`: how a program that starts this one reaches a space."""

from __future__ import annotations

from mcp.server.stdio import stdio_server

from unisem.service.mcp.server import McpService


async def serve_streams(service: McpService) -> None:
    """Serve the process that started this one, until it closes the standard input.

    What anything else prints goes to the standard error, so that the protocol stays whole.
    """
    async with stdio_server() as (incoming, outgoing):
        await service.server.run(incoming, outgoing, service.server.create_initialization_options())
