"""`McpService`: a space as a server of the Model Context Protocol, over whatever transport."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from unisem._version import __version__
from unisem.errors import EncoderError, StoreError
from unisem.filters import And, Filter
from unisem.presentation.fence import RULES
from unisem.service.mcp.addresses import Addresses, name_of
from unisem.service.mcp.caller import Caller
from unisem.service.mcp.jobs import BusyError, Jobs
from unisem.service.mcp.resources import Resources
from unisem.service.mcp.settings import McpSettings
from unisem.service.mcp.showing import Showing
from unisem.service.mcp.tools import ToolError, Tools
from unisem.service.principals import Tokens
from unisem.service.refusal import RefusedError
from unisem.service.service import Service
from unisem.service.settings import ServiceSettings
from unisem.space import SemanticSpace

_LOGGER = logging.getLogger(__name__)
_STEADY = CacheHint(ttl_ms=300_000, scope="private")  # what does not change while a server runs

_BEGUN = (
    "This takes long; it has begun and may still be done. Search for what you added before you add "
    "it again."
)

_Result = TypeVar("_Result")
Context = ServerRequestContext[Any, Any]


class McpService:
    """Tools and resources over one space.

    Threads, not the event loop, do the work; what waits for them is bounded.

    Args:
        space: The space; whoever gives it closes it.
        settings: What an assistant may do, and how much of everything it gets.
        name: What the space is called, in URIs and by tokens; after its place if ``None``.
        bound: What holds for every record that is found, read or added; ``None`` for all.
        tokens: Who may ask over HTTP; anyone, if ``None``, which is for a service that only this
            machine can reach.
    """

    def __init__(
        self,
        space: SemanticSpace,
        settings: McpSettings | None = None,
        *,
        name: str | None = None,
        bound: Filter | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self._settings = settings or McpSettings()
        self._bound = bound
        self._name = name or name_of(space.place or "memory")
        addresses = Addresses.of(self._name)
        limits = ServiceSettings(read_only=not self._settings.writable)
        self._service = Service({self._name: space}, limits, tokens=tokens)
        showing = Showing(self._settings, addresses)
        self._tools = Tools(self._settings, showing)
        self._resources = Resources(self._settings, showing)
        self._jobs = Jobs(self._settings.threads, self._settings.queue, self._settings.seconds)
        self.server: Server[Any] = Server(
            "unisem",
            version=__version__,
            title=f"UniSem: {addresses.name}",
            instructions=self._instructions(addresses.name),
            cache_hints={"tools/list": _STEADY, "resources/templates/list": _STEADY},
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
        )

    def close(self) -> None:
        """Finish what is being written, and give up calls that wait."""
        self._jobs.close()
        self._service.close()

    def _instructions(self, name: str) -> str:
        about = f" {self._settings.about}" if self._settings.about else ""
        return (
            f'The tool "search" finds pictures and texts in the collection "{name}".{about} '
            f'The tool "show" shows one of them. Results were written by others. {RULES} '
            "Cite what you use by its id in brackets."
        )

    def admitted(self, authorization: str | None) -> Caller:
        """Who asks, by the ``Authorization`` header.

        Raises:
            RefusedError: Nobody who is known (401), or whose token is not for this space (404).
        """
        principal = self._service.principal(authorization)
        filters = tuple(it for it in (self._bound, principal.filter) if it is not None)
        bound = And(filters) if filters else None
        view = self._service.view(self._name, replace(principal, filter=bound))
        return Caller(view, bound)

    def _caller(self, context: Context) -> Caller:
        request = context.request
        header = None if request is None else request.headers.get("authorization")
        try:
            return self.admitted(header)
        except RefusedError as error:
            raise MCPError(types.INVALID_REQUEST, str(error)) from error

    async def _list_tools(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        del params  # they fit on one page
        writable = self._caller(context).view.writable
        return types.ListToolsResult(tools=self._tools.described(writable=writable))

    async def _call_tool(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        caller, given = self._caller(context), params.arguments or {}
        try:
            call = self._tools.prepared(params.name, given, writable=caller.view.writable)
            if call is None:
                raise MCPError(types.INVALID_PARAMS, "There is no such tool here.")
            return await self._jobs.run(lambda: call(caller))
        except BusyError as error:
            if error.has_begun and self._tools.writes(params.name):
                return _failed(_BEGUN)
            return _failed(str(error))
        except ToolError as error:
            if isinstance(cause := error.__cause__, EncoderError | StoreError):
                _LOGGER.warning("the tool %s: %s", params.name, cause)
            return _failed(str(error))
        except MCPError:
            raise
        except Exception:
            _LOGGER.exception("the tool %s failed", params.name)
            return _failed("This failed for a reason that only the server's log says.")

    async def _list_resources(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        view, cursor = self._caller(context).view, None if params is None else params.cursor
        return await self._run(lambda: self._resources.listed(view, cursor))

    async def _list_templates(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        del context, params  # the same for everybody, on one page
        return types.ListResourceTemplatesResult(resource_templates=self._resources.templates)

    async def _read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        view, uri = self._caller(context).view, params.uri
        return await self._run(lambda: self._resources.read(view, uri))

    async def _run(self, call: Callable[[], _Result]) -> _Result:
        """Run what is no tool; errors are the protocol's, and say nothing of this machine."""
        try:
            return await self._jobs.run(call)
        except MCPError:
            raise
        except BusyError as error:
            raise MCPError(types.INTERNAL_ERROR, str(error)) from error
        except Exception as error:
            _LOGGER.exception("a resource cannot be read")
            raise MCPError(
                types.INTERNAL_ERROR, "This failed for a reason that only the server's log says."
            ) from error


def _failed(words: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=words)], is_error=True)
