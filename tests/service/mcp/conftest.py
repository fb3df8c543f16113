"""A space as an MCP server, asked by the official client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mcp.client import Client

from unisem import SemanticSpace
from unisem.filters import Filter
from unisem.service.mcp import McpService, McpSettings

Connect = Callable[..., Client]


@pytest.fixture
def connect(space: SemanticSpace) -> Iterator[Connect]:
    """Make a client of a server over the space; takes the settings, and a bound filter."""
    services: list[McpService] = []

    def made(bound: Filter | None = None, space: SemanticSpace = space, **settings: Any) -> Client:
        services.append(McpService(space, McpSettings(**settings), bound=bound))
        return Client(services[-1].server)

    yield made
    for service in services:
        service.close()
