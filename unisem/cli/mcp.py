"""``unisem mcp``: a space in the hands of an assistant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unisem.cli.options import ImageRoots
from unisem.cli.search import open_existing
from unisem.cli.terminal import note
from unisem.common.lazy import require
from unisem.errors import FilterError

_HTTP = "Over HTTP"
_LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


def mcp(
    space: Annotated[Path, typer.Argument(help="A space made by `unisem index`.")],
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
        str, typer.Option(help="Where to listen.", rich_help_panel=_HTTP)
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="0 for one that is free.", rich_help_panel=_HTTP),
    ] = 8001,
) -> None:
    """Serve a space to an assistant (Model Context Protocol): search, show, neighbors, add."""
    if host not in _LOOPBACK:
        raise typer.BadParameter(
            f"anybody who reaches {host} could ask; listen at 127.0.0.1", param_hint="--host"
        )
    require("unisem mcp", "mcp", "unisem[service]")
    require("unisem mcp", "uvicorn", "unisem[service]")
    from unisem.cli.filtering import parse_filters

    try:
        bound = parse_filters(conditions or [])
    except FilterError as error:
        raise typer.BadParameter(str(error), param_hint="--filter") from None
    import anyio

    from unisem.service.mcp import McpService, McpSettings
    from unisem.service.mcp.transports import serve_http, serve_streams
    from unisem.service.principals import Principal
    from unisem.service.settings import ServiceSettings

    settings = McpSettings(
        about=about,
        fields=None if fields is None else tuple(fields),
        writable=writable,
        images=not no_images,
        links=not no_links,
        k=min(McpSettings().k, most),
        most_k=most,
    )
    caller = Principal(scope="write" if writable else "read", filter=bound)
    with open_existing(space) as opened:
        for root in image_roots or ():
            opened.image_library.allow(root)
        service = McpService(opened, settings, principal=lambda _: caller)
        try:
            if http:
                limits = ServiceSettings(hosts=_LOOPBACK)
                serve_http(service, limits, host, port, told=note)
            else:
                anyio.run(serve_streams, service)
        finally:
            service.close()
