"""``unisem store``: what a space holds, whether it is whole, and its way out and in."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from unisem.cli.exchange import existing_manifest, export_, import_
from unisem.cli.options import Space
from unisem.cli.terminal import amount, progress_bar, results
from unisem.common.printable import plain
from unisem.errors import UniSemError

if TYPE_CHECKING:
    from unisem.manifest import Manifest
    from unisem.stores.faiss.checking import Finding
    from unisem.stores.faiss.statistics import StoreStatistics

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

store = typer.Typer(
    no_args_is_help=True,
    help="What a space holds, whether it is whole, and its way out and in.",
)
store.command("export")(export_)
store.command("import")(import_)


@store.command()
def stats(space: Space, as_json: AsJson = False) -> None:
    """Say what a space holds and what it costs."""
    from unisem.stores.faiss.statistics import StoreStatistics

    manifest = existing_manifest(space)
    found = StoreStatistics.of(space)
    if as_json:
        parts = {"encoder": manifest.encoder, "fingerprint": manifest.fingerprint, **asdict(found)}
        sys.stdout.write(json.dumps(parts, indent=2) + "\n")
    else:
        results().print(_stats_table(manifest, found))


@store.command()
def check(
    space: Space,
    pictures: Annotated[
        bool, typer.Option("--images", help="Read every picture and compare its digest, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look for damage; nothing is changed. Exit code 1 if something is wrong."""
    from unisem.images.library import ImageLibrary
    from unisem.stores.faiss.checking import Finding, check_images, check_store

    findings: list[Finding] = []
    try:
        existing_manifest(space)
    except UniSemError as error:
        if not (space / "catalog.sqlite").is_file():
            raise
        findings.append(Finding("catalogue", True, str(error)))
    places = ImageLibrary(space)
    findings += check_store(space, places)
    if pictures:
        with progress_bar("reading pictures") as advance:
            findings += check_images(space, places, progress=advance)
    problems = len([finding for finding in findings if finding.is_problem])
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    else:
        for finding in findings:
            _print_finding(finding)
        results().print(
            Text(amount(problems, "problem"), style="bold red")
            if problems
            else Text("no problems", style="green")
        )
    if problems:
        raise typer.Exit(1)


@store.command()
def backup(
    space: Space,
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="A new directory.")],
) -> None:
    """Copy a space while others read and write it; the copy is a space of its own."""
    from unisem.stores.faiss.backup import back_up
    from unisem.stores.faiss.statistics import StoreStatistics

    existing_manifest(space)
    back_up(space, destination)
    count = sum(StoreStatistics.of(destination).records.values())
    results().print(f"{plain(str(destination))} holds {amount(count, 'record')}", soft_wrap=True)


@store.command()
def compact(
    space: Space,
    index: Annotated[
        Literal["flat", "hnsw", "ivf", "sq8", "auto"],
        typer.Option(help="Kind of index; auto chooses by size."),
    ] = "auto",
) -> None:
    """Index vectors and words anew, drop what was removed, and give disk space back."""
    from unisem.images.library import ImageLibrary
    from unisem.stores.faiss import FaissStore
    from unisem.stores.faiss.statistics import StoreStatistics

    existing_manifest(space)
    before = StoreStatistics.of(space)
    opened = FaissStore(space, ImageLibrary(space))
    try:
        built = opened.compact(index)
        shrunk = opened.shrink()
    finally:
        opened.close()
    after = StoreStatistics.of(space)
    out = results()
    out.print(plain(built), soft_wrap=True)
    out.print(plain(shrunk), soft_wrap=True)
    table = Table.grid(padding=(0, 2))
    for name, old, new in (
        ("catalogue", before.catalog_bytes, after.catalog_bytes),
        ("segment", before.segment_bytes, after.segment_bytes),
        ("pictures", before.blob_bytes, after.blob_bytes),
    ):
        table.add_row(name, _size(old), "→", _size(new))
    out.print(table)


def _stats_table(manifest: Manifest, found: StoreStatistics) -> Table:
    kind: str = found.kind or "none; everything is scanned"
    if found.kind != found.suggested and any(found.vectors.values()):
        kind += f" (compaction would build {found.suggested}: {found.reason})"
    records, vectors = found.records, found.vectors
    lines = [
        (
            "records",
            f"{sum(records.values()):,} ({records['image']:,} with a picture, "
            f"{records['text']:,} without)",
        ),
        (
            "vectors",
            f"{sum(vectors.values()):,} ({vectors['image']:,} of pictures, "
            f"{vectors['text']:,} of texts and captions)",
        ),
        ("dimension", "none yet" if found.dimension is None else str(found.dimension)),
        ("encoder", f"{manifest.encoder} ({manifest.fingerprint[:12]})"),
        ("index", kind),
        ("tail", f"{amount(found.tail, 'vector')} not in the index yet, scanned"),
        ("removed", f"{found.dead_share:.1%} of the records in the index"),
        ("catalogue", f"{_size(found.catalog_bytes)}, {_size(found.free_bytes)} of it empty"),
        ("segment", _size(found.segment_bytes)),
        ("pictures", f"{_size(found.blob_bytes)} in the space"),
        ("writer", found.writer or "nobody"),
    ]
    table = Table.grid(padding=(0, 2))
    for name, value in lines:
        table.add_row(Text(name, style="dim"), Text(plain(value)))
    return table


def _print_finding(finding: Finding) -> None:
    head, style = ("problem", "bold red") if finding.is_problem else ("note   ", "dim")
    line = Text.assemble((head, style), f"  {finding.area}: {plain(finding.text)}")
    results().print(line, soft_wrap=True)


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
