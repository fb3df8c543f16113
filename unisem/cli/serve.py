"""``unisem serve``: spaces over HTTP."""

from __future__ import annotations

from collections.abc import Container
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from unisem.cli.options import ImageRoots
from unisem.cli.publish import Cache
from unisem.cli.terminal import note
from unisem.common.lazy import require

if TYPE_CHECKING:
    from unisem.service.settings import ServiceSettings
    from unisem.stores.kind import Place


def serve(
    spaces: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SPACE…]", help="Spaces: directories, or NAME=DIRECTORY to name one in URLs."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; other than this machine only with tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for one that is free.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Who may ask: TOML or JSON, see the guide."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name that the service is called by; repeatable."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Nothing can be added, changed or removed.")
    ] = False,
    reranker: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A reranker that may be asked for: a directory or a hub id."
        ),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=N", help="Another limit, e.g. k=100; see the guide."),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Processes that answer; from 2 on, another one writes."
        ),
    ] = 1,
    image_roots: ImageRoots = None,
    replica: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE",
            help="A published space, only to be read: a directory or a URL as s3://bucket/photos, "
            "or NAME=SOURCE; repeatable.",
        ),
    ] = None,
    refresh: Annotated[
        float,
        typer.Option(metavar="S", min=0.1, help="Seconds between looks for newer versions."),
    ] = 60.0,
    cache: Cache = None,
) -> None:
    """Serve spaces: a page to search in, JSON, and what OpenAI's and Jina's clients call."""
    for module in ("fastapi", "uvicorn", "prometheus_client", "multipart", "httpx"):
        require("unisem serve", module, "unisem[service]")
    from unisem.service.http.deployment import Deployment
    from unisem.service.http.server import address_of, listening, local_names, serve_app

    if not spaces and not replica:
        raise typer.BadParameter("name a space, or a published one with --replica")
    named = named_spaces(spaces or [])
    published = named_sources(replica or [], taken=named)
    with ExitStack() as stack:
        listener = stack.enter_context(listening(host, port))
        names = local_names(listener)
        if names is None and token_file is None:
            raise typer.BadParameter(
                f"{host} can be reached from other machines; say who may ask with --token-file",
                param_hint="--host",
            )
        hosts = None if names is None and not allow_host else (*(names or ()), *(allow_host or ()))
        deployment = Deployment(
            spaces={name: str(path) for name, path in named.items()},
            settings=settings_of(limit or [], read_only=read_only or not named, hosts=hosts),
            token_file=None if token_file is None else str(token_file),
            rerankers=tuple(reranker or ()),
            image_roots=tuple(map(str, image_roots or ())),
            address=address_of(listener),
            replicas=published,
            refresh=refresh,
            cache=None if cache is None else str(cache),
        )
        if workers == 1:
            app = deployment.app(stack)
            note(f"serving at {address_of(listener)}; stop with Ctrl-C")
            serve_app(app, listener)
        else:
            from unisem.service.http.supervisor import Supervisor

            Supervisor(deployment, workers, told=note).run(listener)


def named_spaces(arguments: list[str]) -> dict[str, Place]:
    """Directories and URIs of spaces by the names that they have in URLs.

    Raises:
        typer.BadParameter: Two have the same name, or one has none.
    """
    from unisem.stores.registry import place_of

    named: dict[str, Place] = {}
    for argument in arguments:
        name, given, rest = argument.partition("=")
        is_named = bool(given) and "://" not in name
        place = place_of(rest if is_named else argument)
        if not is_named and isinstance(place, Path):
            name = place.resolve().name.removesuffix(".unisem")
        elif not is_named:
            name = PurePosixPath(str(place).partition("?")[0]).name
        if not name:
            raise typer.BadParameter(f"{argument} has no name; give it one: NAME={argument}")
        if name in named:
            raise typer.BadParameter(f"two spaces are called {name}; name one: OTHER={place}")
        named[name] = place
    return named


def named_sources(arguments: list[str], taken: Container[str]) -> dict[str, str]:
    """Where spaces are published, by the names that these have in URLs.

    Args:
        arguments: Directories and URLs, some with a name and ``=`` before.
        taken: Names that other spaces have.

    Raises:
        typer.BadParameter: Two have the same name, or one has none.
    """
    named: dict[str, str] = {}
    for argument in arguments:
        given, equals, place = argument.partition("=")
        name, source = (given, place) if equals and "/" not in given else ("", argument)
        name = name or PurePosixPath(source.rstrip("/")).stem
        if not name or not source:
            raise typer.BadParameter(f"{argument} has no name; give it one: NAME={argument}")
        if name in named or name in taken:
            raise typer.BadParameter(f"two spaces are called {name}; name one: OTHER={source}")
        named[name] = source
    return named


def settings_of(
    limits: list[str], *, read_only: bool, hosts: tuple[str, ...] | None
) -> ServiceSettings:
    """The settings with some limits changed.

    Raises:
        typer.BadParameter: There is no such limit, or it is no number of more than 0.
    """
    from unisem.service.settings import LIMITS, ServiceSettings

    changed: dict[str, float] = {}
    for argument in limits:
        name, _, number = argument.partition("=")
        if name not in LIMITS:
            known = ", ".join(LIMITS)
            raise typer.BadParameter(f"{argument}: limits are {known}", param_hint="--limit")
        try:
            changed[name] = LIMITS[name](number)
        except ValueError:
            raise typer.BadParameter(f"{argument}: {number!r} is no such number") from None
    try:
        return ServiceSettings.limited(changed, read_only=read_only, hosts=hosts)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--limit") from None
