"""``unisem mcp``: a space in the hands of an assistant."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unisem.cli.options import ImageRoots
from unisem.cli.search import open_existing
from unisem.cli.terminal import note
from unisem.common.lazy import require
from unisem.errors import FilterError

if TYPE_CHECKING:
    from socket import socket

    from unisem.service.mcp import McpService
    from unisem.space import SemanticSpace

_HTTP = "Over HTTP"


def mcp(
    space: Annotated[
        Path, typer.Argument(help="A space made by `unisem index`, or its name with --service.")
    ],
    service: Annotated[
        str | None,
        typer.Option(
            "--service",
            metavar="URL",
            help="Serve a space that `unisem serve` keeps there; the environment variable "
            "UNISEM_TOKEN is its token.",
        ),
    ] = None,
    about: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="What the collection holds and when to search it, for the model."
        ),
    ] = "",
    writable: Annotated[
        bool, typer.Option("--writable", help="Offer a tool that adds records.")
    ] = False,
    conditions: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="'KEY OP VALUE'",
            help="Serve only records whose metadata match, e.g. 'owner = ada'; may be repeated. No "
            "call can widen it.",
        ),
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            metavar="NAME",
            help="Metadata that the model is told and may filter by; may be repeated. All by "
            "default.",
        ),
    ] = None,
    no_images: Annotated[
        bool,
        typer.Option(
            "--no-images", help="Send captions only, for models that take no pictures from tools."
        ),
    ] = False,
    no_links: Annotated[
        bool,
        typer.Option(
            "--no-links",
            help="Send no links to original pictures, for clients that give every link to the "
            "model, as LangChain does.",
        ),
    ] = False,
    most: Annotated[
        int, typer.Option("--max-k", metavar="N", min=1, max=100, help="Results of a search.")
    ] = 20,
    image_roots: ImageRoots = None,
    http: Annotated[
        bool,
        typer.Option(
            "--http",
            help="Serve streamable HTTP instead of this process's standard streams.",
            rich_help_panel=_HTTP,
        ),
    ] = False,
    host: Annotated[
        str,
        typer.Option(
            help="Where to listen; other than this machine only with tokens.",
            rich_help_panel=_HTTP,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="0 for one that is free.", rich_help_panel=_HTTP),
    ] = 8001,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Who may ask, as of `unisem serve`: TOML or JSON.",
            rich_help_panel=_HTTP,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name that the service is called by; repeatable.",
            rich_help_panel=_HTTP,
        ),
    ] = None,
) -> None:
    """Serve a space to an assistant (Model Context Protocol): search, show, neighbors, add."""
    require("unisem mcp", "mcp", "unisem[service]")
    require("unisem mcp", "uvicorn", "unisem[service]")
    from unisem.cli.filtering import parse_filters

    try:
        bound = parse_filters(conditions or [])
    except FilterError as error:
        raise typer.BadParameter(str(error), param_hint="--filter") from None
    if token_file is not None and not http:
        raise typer.BadParameter(
            "only requests over HTTP have tokens; give --http, too", param_hint="--token-file"
        )
    from unisem.service.mcp import McpService, McpSettings
    from unisem.service.mcp.addresses import name_of
    from unisem.service.principals import Tokens

    settings = McpSettings(
        about=about,
        fields=None if fields is None else tuple(fields),
        writable=writable,
        images=not no_images,
        links=not no_links,
        k=min(McpSettings().k, most),
        most_k=most,
    )
    with ExitStack() as stack:
        listener = None
        if http:
            listener = stack.enter_context(_listening(host, port, token_file))
        opened = stack.enter_context(_opened(space, service))
        for root in image_roots or ():
            opened.image_library.allow(root)
        tokens = None if token_file is None else Tokens.read(token_file)
        name = name_of(space.resolve()) if service is None else str(space)
        served = McpService(opened, settings, name=name, bound=bound, tokens=tokens)
        stack.callback(served.close)
        if listener is None:
            _serve_streams(served)
        else:
            _serve_http(served, listener, allow_host or [])


def _opened(space: Path, service: str | None) -> SemanticSpace:
    if service is None:
        return open_existing(space)
    from unisem.space import SemanticSpace

    return SemanticSpace.connect(service, str(space), token=os.environ.get("UNISEM_TOKEN"))


def _listening(host: str, port: int, token_file: Path | None) -> socket:
    """A socket that listens.

    Raises:
        typer.BadParameter: Anybody could ask.
        UniSemError: None can be had there.
    """
    from unisem.service.http.server import listening, local_names

    listener = listening(host, port)
    if local_names(listener) is None and token_file is None:
        listener.close()
        raise typer.BadParameter(
            f"{host} can be reached from other machines; say who may ask with --token-file",
            param_hint="--host",
        )
    return listener


def _serve_streams(service: McpService) -> None:
    import anyio

    from unisem.service.mcp.streams import serve_streams

    anyio.run(serve_streams, service)


def _serve_http(service: McpService, listener: socket, allowed: list[str]) -> None:
    from unisem.service.http.server import address_of, local_names
    from unisem.service.mcp.streamable_http import PATH, serve_http
    from unisem.service.settings import ServiceSettings

    names = local_names(listener)
    hosts = None if names is None and not allowed else (*(names or ()), *allowed)
    note(f"serving MCP at {address_of(listener)}{PATH}; stop with Ctrl-C")
    serve_http(service, ServiceSettings(hosts=hosts), listener)
