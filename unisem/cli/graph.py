"""``unisem graph``: what a space knows of the things its records are about."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from unisem.cli.options import AsJson, Space
from unisem.cli.progress import progress_bar
from unisem.cli.search import open_existing
from unisem.cli.terminal import amount, note, print_json, results
from unisem.common.printable import plain

if TYPE_CHECKING:
    from unisem.graph.sources.base import GraphSource
    from unisem.stores.graph import GraphReport

graph = typer.Typer(
    no_args_is_help=True, help="What a space knows of the things its records are about."
)


@graph.command()
def add(
    space: Space,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|FOLDER",
            help="Triples as CSV or RDF, or the folder of WordNet's dictionary.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Add a file's entities, relations and mentions, all of them or none."""
    with open_existing(space) as opened:
        found = _source(source)
        report = opened.graph.add(found.entities(), found.relations(), found.mentions())
    if as_json:
        print_json(asdict(report) | {"unusable": found.unusable})
        return
    _tell(report)
    if found.unusable:
        note(
            f"{found.unusable:,} labels or triples left out: too long, or not to be kept as a name"
        )


@graph.command()
def link(
    space: Space,
    images: Annotated[
        bool, typer.Option("--images", help="By what pictures show, too, as the encoder sees it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find out which entities the space's texts, and its pictures, are about, and keep it."""
    with open_existing(space) as opened:
        if images:
            with progress_bar("embedding names") as advance:
                opened.graph.embed_names(progress=advance)
        with progress_bar("linking records") as advance:
            report = opened.graph.link_records(images=images, progress=advance)
    if as_json:
        print_json(asdict(report))
    else:
        _tell(report)


@graph.command()
def stats(
    space: Space,
    as_json: AsJson = False,
) -> None:
    """Say how much the graph holds."""
    with open_existing(space) as opened:
        counts = opened.graph.counts
    parts = {name: getattr(counts, name) for name in counts.__dataclass_fields__}
    if as_json:
        print_json(parts | {"types": dict(counts.types)})
        return
    out = results()
    out.print(f"{counts.entities:,} entities, {counts.embedded:,} of them with a vector")
    out.print(f"{counts.relations:,} relations")
    for name, count in sorted(counts.types.items(), key=lambda one: (-one[1], one[0])):
        out.print(Text(f"  {plain(name)}: {count:,}"))
    out.print(f"{counts.mentions:,} mentions")


@graph.command()
def show(
    space: Space,
    name: Annotated[str, typer.Argument(help="A name or an alias.")],
    top: Annotated[
        int, typer.Option("-n", "--top", metavar="N", min=1, help="Neighbours at most.")
    ] = 20,
) -> None:
    """Show the entities of a name, and what they are related to."""
    with open_existing(space) as opened:
        found = list(opened.graph.entities(name))
        for entity in found:
            others = ", ".join(entity.aliases)
            called = f"{entity.name} ({others})" if others else entity.name
            results().print(Text(plain(f"{entity.id}: {called}"), style="bold"))
            for it in opened.graph.neighbours(entity.id, limit=top):
                arrow = f"— {it.type} →" if it.outward else f"← {it.type} —"
                results().print(Text(plain(f"  {arrow} {it.entity.name}")))
    if not found:
        note("nothing is called so")


def _source(path: Path) -> GraphSource:
    """What reads a file, by its name's end.

    Raises:
        GraphError: It cannot be read.
        typer.BadParameter: It is of no kind that is known.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        from unisem.graph.sources.wordnet import WordNet

        return WordNet(path)
    if suffix in (".csv", ".tsv"):
        from unisem.graph.sources.tables import GraphTable

        return GraphTable(path)
    from unisem.graph.sources.rdf import FORMATS, RdfFile

    if suffix in FORMATS:
        return RdfFile(path)
    raise typer.BadParameter(
        f"triples are read from .csv, .tsv, {', '.join(FORMATS)} and WordNet's folder",
        param_hint="FILE",
    )


def _tell(report: GraphReport) -> None:
    note(
        f"{report.entities:,} named entities, "
        f"{amount(report.relations, 'relation')}, {amount(report.mentions, 'mention')}"
    )
    if report.homeless:
        names = ", ".join(map(repr, report.missing[:5]))
        note(f"{report.homeless:,} left out, as their records are not in the space: {plain(names)}")
