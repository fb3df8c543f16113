"""``unisem index``: a folder into a space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from unisem.cli.caption import captioner_for, fill, print_report
from unisem.cli.options import Into, NewEncoder, NewStore
from unisem.cli.progress import progress_bar
from unisem.cli.terminal import amount, notices, results, skipped_lines
from unisem.cli.tokens import make_tokens, print_tokens
from unisem.common.lazy import require
from unisem.common.printable import plain

if TYPE_CHECKING:
    from unisem.ingest.ingestion import IngestReport
    from unisem.ingest.ray import RayIngestion
    from unisem.recognition import TextRecognizer
    from unisem.space import SemanticSpace

_SHOWN = 10  # skipped inputs that are listed unasked
_MACHINES = "Many machines"
_NAMED = 3  # records that are named where something is said of many


def index(
    folder: Annotated[Path, typer.Argument(help="Pictures, captions and texts.")],
    into: Into,
    encoder: NewEncoder = None,
    store: NewStore = None,
    show_skipped: Annotated[
        bool, typer.Option("--show-skipped", help="List every input that was skipped.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove records whose files have gone.")
    ] = False,
    no_location: Annotated[
        bool, typer.Option("--no-location", help="Leave out where pictures were taken.")
    ] = False,
    caption: Annotated[
        str | None,
        typer.Option(
            "--caption",
            metavar="NAME",
            help="Then write captions where there are none; NAME as of unisem caption --captioner.",
        ),
    ] = None,
    ocr: Annotated[
        str | None,
        typer.Option(
            "--ocr",
            metavar="NAME",
            help="Read the words in pictures and on scanned pages; NAME is ppocr-v5.",
        ),
    ] = None,
    tokens_for: Annotated[
        str | None,
        typer.Option(
            "--tokens-for",
            metavar="DIR",
            help="Make the tokens of this reranker of all pictures; see unisem tokens.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Embed on a Ray cluster: auto, HOST:PORT, or local for one on this machine.",
            rich_help_panel=_MACHINES,
        ),
    ] = None,
    ray_actors: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Processes with the encoder; as many as there is room for.",
            rich_help_panel=_MACHINES,
        ),
    ] = None,
    ray_gpus: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="X",
            help="Graphics cards of each, or a share of one.",
            rich_help_panel=_MACHINES,
        ),
    ] = 0,
    ray_shared: Annotated[
        bool,
        typer.Option(
            "--ray-shared",
            help="The folder has the same path on all machines, which read it themselves.",
            rich_help_panel=_MACHINES,
        ),
    ] = False,
) -> None:
    """Add a folder's pictures, captions and texts to a space, or bring it up to date."""
    from unisem.recognition import load_recognizer
    from unisem.space import SemanticSpace

    cluster = _cluster(ray, ray_actors, ray_gpus, ray_shared)
    recognizer = None if ocr is None else load_recognizer(ocr)
    if not folder.is_dir():  # before a space is made for nothing
        raise NotADirectoryError(f"{folder} is not a folder")
    with SemanticSpace.open(into, encoder=encoder, store=store, tokens_for=tokens_for) as space:
        captioner = None if caption is None else captioner_for(space, caption)
        report = add_folder(
            space,
            folder,
            prune=prune,
            location=not no_location,
            recognizer=recognizer,
            ray=cluster,
        )
        out = results()
        out.print(_counts(report))
        inside = f"{folder.resolve()}/"
        skipped = [replace(it, name=it.name.removeprefix(inside)) for it in report.skipped]
        most = len(skipped) if show_skipped else _SHOWN
        if (found := _documents(report)) is not None:
            out.print(found, soft_wrap=True)
        for line in skipped_lines(skipped, most=most, remedy="; --show-skipped lists all"):
            out.print(line, soft_wrap=True)
        for remark in _remarks(report, prune=prune):
            out.print(remark, soft_wrap=True)
        if captioner is not None:
            print_report(fill(space, captioner), show_skipped=show_skipped)
        if tokens_for is not None:
            tokens = make_tokens(space, tokens_for)  # of what was in the space before, too
            kept = f"keeps tokens of {amount(tokens.made + tokens.present, 'picture')}"
            print_tokens(kept, tokens, show_skipped=show_skipped)
        out.print(
            f"{plain(str(into))} holds {amount(len(space), 'record')} "
            f"(encoder {plain(space.encoder.name)})",
            soft_wrap=True,
        )


def add_folder(
    space: SemanticSpace,
    folder: Path,
    *,
    prune: bool = False,
    location: bool = True,
    recognizer: TextRecognizer | None = None,
    ray: RayIngestion | None = None,
) -> IngestReport:
    """Add a folder to a space under a progress bar; see `SemanticSpace.add_folder`.

    Raises:
        typer.Exit: Ctrl-C; the person has been told what is kept.
    """
    try:
        with progress_bar("indexing") as advance:
            return space.add_folder(
                folder,
                prune=prune,
                location=location,
                recognizer=recognizer,
                ray=ray,
                progress=advance,
            )
    except KeyboardInterrupt:
        notices().print(
            f"Interrupted. What is done is kept: {amount(len(space), 'record')} in "
            f"{plain(str(space.place))}.\nRun the same command again to go on.",
            soft_wrap=True,
        )
        raise typer.Exit(130) from None


def _cluster(
    address: str | None, actors: int | None, gpus: float, shared: bool
) -> RayIngestion | None:
    """The cluster that ``--ray`` names.

    Raises:
        typer.BadParameter: It is no address, or there is none for what else is said of it.
    """
    if address is None:
        if actors is not None or gpus or shared:
            raise typer.BadParameter("say which cluster: --ray auto", param_hint="--ray-…")
        return None
    from unisem.ingest.ray import RayIngestion

    try:
        cluster = RayIngestion(address=address, actors=actors, gpus=gpus, shared=shared)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--ray") from None
    require("unisem index --ray", "ray", "unisem[ray]")  # before a space is made for nothing
    return cluster


def _counts(report: IngestReport) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(justify="right")
    table.add_row(Text("added", style="green"), f"{report.added:,}")
    table.add_row("unchanged", f"{report.unchanged:,}")
    table.add_row("removed", f"{report.removed:,}")
    if report.renamed:
        table.add_row("renamed", f"{report.renamed:,}")
    if report.words_read:
        table.add_row("words read in", amount(report.words_read, "picture"))
    table.add_row(
        Text("skipped", style="yellow" if report.skipped else ""), f"{len(report.skipped):,}"
    )
    return table


def _documents(report: IngestReport) -> str | None:
    counts = report.documents
    if not counts.documents:
        return None
    parts = ((counts.pages, "page"), (counts.figures, "figure"), (counts.tables, "table"))
    inside = ", ".join(amount(number, what) for number, what in parts if number)
    return f"{amount(counts.documents, 'document')}{' with ' if inside else ''}{inside}"


def _remarks(report: IngestReport, *, prune: bool) -> list[str]:
    """What was passed over, by kind or in part, and which records have lost their file."""
    remarks: list[str] = []
    if report.ignored:
        kinds = [
            f"{count:,} {kind or 'without a suffix'}" for kind, count in report.ignored.items()
        ]
        remarks.append(plain(f"ignored: {', '.join(kinds)}"))
    if long := report.long_captions:
        captions = f"{amount(len(long), 'caption')} ({_named(long)})"
        end = "longer than the encoder reads, whose end is found by keyword only"
        remarks.append(plain(f"read in part: {captions} {end}"))
    lost = report.gone
    if lost and not (prune and report.removed):
        remedy = (
            "kept, as the folder is empty; is its drive mounted?"
            if prune
            else "found until --prune removes them"
        )
        remarks.append(plain(f"gone: {amount(len(lost), 'file')} ({_named(lost)}), {remedy}"))
    return remarks


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_NAMED]) + (" …" if len(ids) > _NAMED else "")
