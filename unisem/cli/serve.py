"""``unisem serve``: spaces over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unisem.cli.search import open_existing
from unisem.cli.terminal import note
from unisem.common.lazy import require

if TYPE_CHECKING:
    from unisem.space import SemanticSpace


def serve(
    spaces: Annotated[
        list[str],
        typer.Argument(
            metavar="SPACE…", help="Spaces: directories, or NAME=DIRECTORY to name one in URLs."
        ),
    ],
    host: Annotated[str, typer.Option(help="Where to listen: a name or an address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for one that is free.")] = 8000,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Nothing can be added, changed or removed.")
    ] = False,
) -> None:
    """Serve spaces: a JSON API, and what OpenAI's and Jina's clients call."""
    require("unisem serve", "fastapi", "unisem[service]")
    require("unisem serve", "uvicorn", "unisem[service]")
    named = named_spaces(spaces)
    from unisem.service.http.app import create_app
    from unisem.service.http.server import run
    from unisem.service.settings import ServiceSettings

    opened: dict[str, SemanticSpace] = {}
    try:
        for name, path in named.items():
            opened[name] = open_existing(path)
        settings = ServiceSettings(read_only=read_only)
        run(create_app(opened, settings), host, port, told=note)
    finally:
        for space in opened.values():
            space.close()


def named_spaces(arguments: list[str]) -> dict[str, Path]:
    """Directories by the names that they have in URLs.

    Raises:
        typer.BadParameter: Two have the same name, or one has none.
    """
    named: dict[str, Path] = {}
    for argument in arguments:
        name, given, place = argument.partition("=")
        path = Path(place if given else argument)
        name = name if given else path.resolve().name.removesuffix(".unisem")
        if not name:
            raise typer.BadParameter(f"{argument} has no name; give it one: NAME={argument}")
        if name in named:
            raise typer.BadParameter(f"two spaces are called {name}; name one: OTHER={path}")
        named[name] = path
    return named
