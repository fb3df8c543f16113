"""``unisem store``: what a space holds, whether it is whole, and its way out and in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from unisem.cli.exchange import export_, import_
from unisem.cli.options import AsJson, Space
from unisem.cli.progress import progress_bar
from unisem.cli.publish import fetch, publish
from unisem.cli.terminal import amount, print_json, results
from unisem.common.printable import plain
from unisem.errors import StoreError, UniSemError

if TYPE_CHECKING:
    from unisem.manifest import Manifest
    from unisem.rerank.token_store import TokenFile
    from unisem.stores.kind import Place
    from unisem.stores.maintenance import Finding, Maintenance, Statistics

store = typer.Typer(
    no_args_is_help=True,
    help="What a space holds, whether it is whole, and its way out and in.",
)
store.command("export")(export_)
store.command("import")(import_)
store.command()(publish)
store.command()(fetch)


@store.command()
def stats(space: Space, as_json: AsJson = False) -> None:
    """Say what a space holds and what it costs."""
    from unisem.manifest import Manifest
    from unisem.rerank.token_store import token_files

    manifest = Manifest.existing(space)
    found = maintenance_of(space, manifest).statistics()
    kept = token_files(space) if isinstance(space, Path) and space.is_dir() else []
    if as_json:
        parts = {
            "encoder": manifest.encoder,
            "fingerprint": manifest.fingerprint,
            "options": manifest.options.remembered,
            "store": manifest.store,
            **asdict(found),
            "tokens": [
                {
                    "file": it.path.name,
                    "pictures": it.pictures,
                    "texts": it.texts,
                    "bytes": it.size,
                    "bytes_per_picture": it.picture_bytes,
                    "bytes_per_text": it.text_bytes,
                    "pool_factor": it.pool_factor,
                }
                for it in kept
            ],
        }
        print_json(parts)
    else:
        results().print(_stats_table(manifest, found, kept))


@store.command()
def check(
    space: Space,
    pictures: Annotated[
        bool, typer.Option("--images", help="Read every picture and compare its digest, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look for damage; nothing is changed. Exit code 1 if something is wrong."""
    from unisem.ingest.token_making import check_tokens
    from unisem.manifest import Manifest
    from unisem.stores.maintenance import Finding, check_images
    from unisem.stores.registry import kind_at

    findings: list[Finding] = []
    manifest = None
    try:
        manifest = Manifest.existing(space)
    except UniSemError as error:
        if isinstance(space, str) or kind_at(space) is None:
            raise
        findings.append(Finding("catalogue", True, str(error)))
    keeper = maintenance_of(space, manifest)
    findings += keeper.check()
    if isinstance(space, Path) and space.is_dir():
        findings += check_tokens(space)
    if pictures:
        with progress_bar("reading pictures") as advance:
            findings += check_images(keeper, progress=advance)
    problems = len([finding for finding in findings if finding.is_problem])
    if as_json:
        print_json([asdict(finding) for finding in findings])
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
    as_json: AsJson = False,
) -> None:
    """Copy a space while others read and write it; the copy is a space of its own."""
    from unisem.manifest import Manifest

    manifest = Manifest.existing(space)
    maintenance_of(space, manifest).backup(destination)
    count = sum(maintenance_of(destination, manifest).statistics().records.values())
    if as_json:
        print_json({"space": str(destination), "records": count})
        return
    results().print(f"{plain(str(destination))} holds {amount(count, 'record')}", soft_wrap=True)


@store.command()
def compact(
    space: Space,
    index: Annotated[
        str, typer.Option(metavar="KIND", help="Kind of index; auto chooses by size.")
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Index vectors and words anew, drop what was removed, and give disk space back."""
    from unisem.manifest import Manifest

    keeper = maintenance_of(space, Manifest.existing(space))
    before = keeper.statistics().sizes
    try:
        done = keeper.compact(index)
    except UniSemError:
        raise
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--index") from None
    after = keeper.statistics().sizes
    if as_json:
        print_json({"done": list(done), "sizes_before": dict(before), "sizes": dict(after)})
        return
    out = results()
    for sentence in done:
        out.print(plain(sentence), soft_wrap=True)
    table = Table.grid(padding=(0, 2))
    for name, size in after.items():
        table.add_row(name, _size(before.get(name, 0)), "→", _size(size))
    out.print(table)


def maintenance_of(space: Place, manifest: Manifest | None) -> Maintenance:
    """What looks after a space's store; without a manifest the store is known by its file.

    Raises:
        StoreError: The kind of store is not known here.
    """
    from unisem.stores.registry import kind_at

    kind = None if manifest is None else manifest.kind(space)
    if kind is None and isinstance(space, Path):
        kind = kind_at(space)
    if kind is None:
        raise StoreError(f"there is no store at {space}")
    return kind.maintenance(space, kind.image_library(space))


def _stats_table(manifest: Manifest, found: Statistics, kept: Sequence[TokenFile]) -> Table:
    records, vectors = found.records, found.vectors
    asked = {k: v for k, v in manifest.options.remembered.items() if k != "dimension"}
    lines = [
        (
            "records",
            f"{sum(records.values()):,} ({records['image']:,} with a picture, "
            f"{records['text']:,} without)",
        ),
        (
            "vectors",
            f"{sum(vectors.values()):,} ({vectors['image']:,} of pictures, "
            f"{vectors['text']:,} of texts and captions"
            + (f", {vectors['both']:,} of both together)" if vectors.get("both") else ")"),
        ),
        ("dimension", "none yet" if found.dimension is None else str(found.dimension)),
        ("encoder", f"{manifest.encoder} ({manifest.fingerprint[:12]})"),
        *((name.replace("_", " "), str(value)) for name, value in asked.items()),
        ("store", manifest.store),
        *found.remarks.items(),
        *((name, _size(size)) for name, size in found.sizes.items()),
        *(
            ("tokens", f"{_tokens_of(file)}, {_size(file.size)} ({file.path.name})")
            for file in kept
        ),
        ("writer", found.writer or "nobody"),
    ]
    table = Table.grid(padding=(0, 2))
    for name, value in lines:
        table.add_row(Text(name, style="dim"), Text(plain(value)))
    return table


def _tokens_of(file: TokenFile) -> str:
    if file.pictures is None:
        return "damaged; `unisem tokens` makes them anew"
    parts = []
    for count, noun, size in (
        (file.pictures, "picture", file.picture_bytes),
        (file.texts, "text", file.text_bytes),
    ):
        if size is not None:
            parts.append(f"{amount(count, noun)} at {_size(round(size))} each")
    pooled = f", pooled by {file.pool_factor}" if (file.pool_factor or 1) > 1 else ""
    return f"of {' and '.join(parts) or 'nothing'}{pooled}"


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
