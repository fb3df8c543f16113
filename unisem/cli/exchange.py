"""``unisem store export`` and ``unisem store import``: a space as plain files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from unisem.cli.encoder_options import PLAIN, encoder_for, encoder_options
from unisem.cli.options import AsJson, ImageRoots, Into, NewEncoder, NewStore, Space
from unisem.cli.progress import progress_bar
from unisem.cli.terminal import amount, note, print_json, results, skipped_lines
from unisem.common.printable import plain
from unisem.encoders.options import EncoderOptions

_SHOWN = 10  # skipped inputs that are listed


def export_(
    space: Space,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory.")],
    layout: Annotated[
        Literal["jsonl", "parquet"], typer.Option("--format", help="Layout of the files.")
    ] = "jsonl",
    copy_images: Annotated[
        bool,
        typer.Option("--copy-images", help="Copy the pictures outside the space, too."),
    ] = False,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Save what can be read of a damaged space.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write records, vectors and pictures as plain files."""
    from unisem.exchange import export_space, salvage_space
    from unisem.manifest import Manifest

    if not salvage:
        Manifest.existing(space)
    write = salvage_space if salvage else export_space
    with progress_bar("exporting") as advance:
        report = write(space, directory, layout=layout, copy_images=copy_images, progress=advance)
    if as_json:
        print_json(asdict(report))
        return
    results().print(
        f"exported {amount(report.records, 'record')}, {amount(report.vectors, 'vector')} and "
        f"{amount(report.images, 'picture')} to {plain(str(directory))}",
        soft_wrap=True,
    )
    if salvage:
        results().print(
            f"{report.lost:,} could not be read; {report.without_vectors:,} have lost their "
            "vectors, which importing makes anew",
            soft_wrap=True,
        )
        if report.lost_of_graph:
            listed = ", ".join(f"{count:,} {kind}" for kind, count in report.lost_of_graph.items())
            results().print(f"of the knowledge graph are lost: {listed}", soft_wrap=True)
        if report.may_be_removed:
            note(
                "which records were removed could not be read: some of them may be in the export; "
                "delete them again"
            )
    for line in skipped_lines(report.missing, most=_SHOWN, fate="not copied: "):
        note(line)


@encoder_options()
def import_(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="An export.")],
    into: Into,
    encoder: NewEncoder = None,
    asked: EncoderOptions = PLAIN,
    store: NewStore = None,
    vectors: Annotated[
        Literal["keep", "truncate", "renew", "renew-texts"],
        typer.Option(
            help="Keep the export's vectors, cut them to --dimension, or embed everything, or "
            "all texts, anew."
        ),
    ] = "keep",
    image_roots: ImageRoots = None,
    as_json: AsJson = False,
) -> None:
    """Add an export's records to a space, replacing those of the same id."""
    from unisem.encoders import load_encoder
    from unisem.exchange import import_space
    from unisem.exchange.importing import check_encoder
    from unisem.exchange.info import ExportInfo
    from unisem.manifest import Manifest
    from unisem.space import SemanticSpace

    info = ExportInfo.read(directory)  # before a space is made for nothing
    chosen = None
    if Manifest.read(into) is None:
        if encoder is None and info.encoder is not None and vectors in ("keep", "truncate"):
            # A name that comes from a file is looked for on this machine only.
            told = info.options.remembered | asked.given
            chosen = load_encoder(info.encoder, local_only=True, **told)
        else:
            chosen = load_encoder(encoder or "mini", **asked.given)
        if vectors != "renew":
            check_encoder(info, chosen, directory, vectors)
        info.verify(directory)
    with (
        SemanticSpace.open(
            into, encoder=chosen or encoder_for(encoder, asked, into), store=store
        ) as space,
        progress_bar("importing") as advance,
    ):
        report = import_space(
            directory, space, vectors=vectors, image_roots=image_roots or (), progress=advance
        )
        if as_json:
            graph = None if report.graph is None else asdict(report.graph)
            print_json(asdict(report) | {"graph": graph, "held": len(space)})
            return
        results().print(
            f"imported {amount(report.records, 'record')}, {report.embedded:,} embedded anew; "
            f"{plain(str(into))} holds {amount(len(space), 'record')} "
            f"(encoder {plain(space.encoder.name)})",
            soft_wrap=True,
        )
        if report.graph is not None and not space.graph.counts.embedded:
            note(
                "the graph's names have no vectors here, so that links are by words only: "
                f"`unisem graph link {plain(str(into))} --images` makes them"
            )
        if report.calibrated:
            note("searched by the export's calibration; `unisem calibrate --off` ends that")
    for line in skipped_lines(report.skipped, most=_SHOWN, fate="skipped: "):
        note(line)
