"""A space in the hands of an assistant: tools and resources of the Model Context Protocol."""

from unisem.service.mcp.server import McpService
from unisem.service.mcp.settings import McpSettings

__all__ = ["McpService", "McpSettings"]
