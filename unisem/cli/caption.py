"""``unisem caption``: words for the pictures of a space that have none."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from unisem.cli.options import AsJson, ImageRoots, Space
from unisem.cli.progress import progress_bar
from unisem.cli.search import open_existing
from unisem.cli.terminal import amount, notices, print_json, results, skipped_lines
from unisem.common.printable import plain

if TYPE_CHECKING:
    from unisem.captioners import Captioner
    from unisem.ingest.captioning import CaptionReport
    from unisem.space import SemanticSpace

_SHOWN = 10  # skipped pictures that are listed unasked

CaptionerName = Annotated[
    str | None,
    typer.Option(
        "--captioner",
        metavar="NAME",
        help="tags, a directory or a hub id of an image-to-text model.",
    ),
]


def caption(
    space: Space,
    captioner: CaptionerName = None,
    vocabulary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The tags, one a line, in place of ours.")
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What the model is asked, or goes on from."),
    ] = None,
    undo: Annotated[
        bool,
        typer.Option(
            "--undo", help="Take generated captions out again, where nobody has changed them."
        ),
    ] = False,
    show_skipped: Annotated[
        bool, typer.Option("--show-skipped", help="List every picture that was skipped.")
    ] = False,
    image_roots: ImageRoots = None,
    as_json: AsJson = False,
) -> None:
    """Write captions for pictures that have none, marked as generated."""
    if undo:
        if vocabulary is not None or prompt is not None:
            raise typer.BadParameter("goes with --captioner only", param_hint="--undo")
        with open_existing(space) as opened:
            _remove(opened, captioner, as_json=as_json)
        return
    if captioner is None:
        raise typer.BadParameter(
            "name a captioner: tags, which needs no further model, a directory or a hub id",
            param_hint="--captioner",
        )
    with open_existing(space) as opened:
        for root in image_roots or ():
            opened.image_library.allow(root)
        loaded = captioner_for(opened, captioner, vocabulary=vocabulary, prompt=prompt)
        report = fill(opened, loaded)
    if as_json:
        print_json(asdict(report))
    else:
        print_report(report, show_skipped=show_skipped)


def captioner_for(
    space: SemanticSpace,
    name: str,
    *,
    vocabulary: Path | None = None,
    prompt: str | None = None,
) -> Captioner:
    """Find a captioner; ``tags`` works with the space's own encoder.

    Raises:
        CaptionerError: There is no such model.
        typer.BadParameter: The vocabulary cannot be used, or does not go with the captioner.
    """
    from unisem.captioners import load_captioner
    from unisem.captioners.tags import read_vocabulary

    try:
        tags = None if vocabulary is None else read_vocabulary(vocabulary)
        return load_captioner(name, encoder=space.encoder, vocabulary=tags, prompt=prompt)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--vocabulary") from None


def fill(space: SemanticSpace, captioner: Captioner) -> CaptionReport:
    """Fill in captions under a progress bar.

    Raises:
        typer.Exit: Ctrl-C; the person has been told what is kept.
    """
    try:
        with progress_bar("captioning") as advance:
            return space.caption(captioner, progress=advance)
    except KeyboardInterrupt:
        notices().print(
            "Interrupted. The captions that are written are kept.\n"
            "Run the same command again to go on.",
            soft_wrap=True,
        )
        raise typer.Exit(130) from None


def print_report(report: CaptionReport, *, show_skipped: bool) -> None:
    """Say what became of the pictures without words."""
    out = results()
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(justify="right")
    table.add_row(Text("captioned", style="green"), f"{report.captioned:,}")
    if report.reused:
        table.add_row("known already", f"{report.reused:,}")
    table.add_row("nothing to say", f"{report.wordless:,}")
    style = "yellow" if report.skipped else ""
    table.add_row(Text("no caption", style=style), f"{len(report.skipped):,}")
    out.print(table)
    most = len(report.skipped) if show_skipped else _SHOWN
    for line in skipped_lines(report.skipped, most=most, remedy="; --show-skipped lists all"):
        out.print(line, soft_wrap=True)


def _remove(space: SemanticSpace, captioner: str | None, *, as_json: bool) -> None:
    with progress_bar("removing captions") as advance:
        report = space.remove_captions(captioner, progress=advance)
    if as_json:
        print_json(asdict(report))
        return
    out = results()
    out.print(f"removed {amount(report.removed, 'generated caption')}")
    if report.changed:
        out.print(plain(f"kept {amount(report.changed, 'caption')} that somebody has changed"))
