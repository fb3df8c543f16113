"""``unisem store publish`` and ``unisem store fetch``: a space to many machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unisem.cli.options import AsJson, ImageRoots, Space
from unisem.cli.progress import progress_bar
from unisem.cli.terminal import amount, note, print_json, results, skipped_lines
from unisem.common.printable import plain

_SHOWN = 10  # pictures that are listed

Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Where fetched versions are kept; else in the user's folder of caches."
    ),
]


def publish(
    space: Space,
    destination: Annotated[
        str, typer.Argument(metavar="DEST", help="A directory, or a URL as s3://bucket/photos.")
    ],
    keep: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many versions stay there.")
    ] = 3,
    check: Annotated[
        bool, typer.Option("--check", help="Read what is there, and send anew what is damaged.")
    ] = False,
    image_roots: ImageRoots = None,
    as_json: AsJson = False,
) -> None:
    """Publish a space, as it is now, for servers that only read it; only changes are sent."""
    from unisem.exchange.replicas import publish_space

    with progress_bar("publishing (MB)") as advance:
        report = publish_space(
            space,
            destination,
            keep=keep,
            check=check,
            image_roots=image_roots or (),
            progress=lambda seen: advance(seen // 1_000_000, 0),
        )
    version = report.version
    if as_json:
        told = {
            "version": version.number,
            "published": version.published,
            "is_new": report.is_new,
            "files": len(version.files),
            "bytes": version.size,
            "sent": report.sent,
            "missing": [{"name": it.name, "reason": it.reason} for it in report.missing],
            "removed": report.removed,
            "remark": report.remark,
        }
        print_json(told)
    elif report.is_new:
        results().print(
            f"published version {version.number} at {plain(destination)}: "
            f"{amount(len(version.files), 'file')}, {version.size / 1e6:,.1f} MB, of which "
            f"{report.sent / 1e6:,.1f} MB were sent; {amount(report.removed, 'older version')} "
            "removed",
            soft_wrap=True,
        )
    else:
        results().print(
            f"nothing has changed since version {version.number} at {plain(destination)}",
            soft_wrap=True,
        )
    for line in skipped_lines(report.missing, most=_SHOWN, fate="not published: "):
        note(line)
    if report.remark:
        note(report.remark)


def fetch(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Where a space is published.")],
    cache: Cache = None,
) -> None:
    """Fetch the newest version of a published space, and print its directory, a space to read."""
    from unisem.exchange.replicas.replica import Published

    local = Published(source, cache=cache).fetched()
    try:
        typer.echo(str(local.folder))
    finally:
        local.release()
