"""``unisem watch``: a space in step with a folder, while it runs."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unisem.cli.encoder_options import PLAIN, encoder_for, encoder_options
from unisem.cli.folder_report import folder_report_as_json, print_folder_report, print_remarks
from unisem.cli.index import add_folder
from unisem.cli.options import (
    Exclude,
    Include,
    Into,
    NewEncoder,
    NewStore,
    Prune,
    check_patterns,
)
from unisem.cli.terminal import amount, note, print_json, results
from unisem.common.lazy import require
from unisem.common.printable import plain
from unisem.encoders.options import EncoderOptions

if TYPE_CHECKING:
    from unisem.ingest.ingest_report import IngestReport


@encoder_options()
def watch(
    folder: Annotated[Path, typer.Argument(help="Pictures, captions and texts.")],
    into: Into,
    encoder: NewEncoder = None,
    asked: EncoderOptions = PLAIN,
    store: NewStore = None,
    prune: Prune = None,
    no_location: Annotated[
        bool, typer.Option("--no-location", help="Leave out where pictures were taken.")
    ] = False,
    exclude: Exclude = None,
    include: Include = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one line for each time.")
    ] = False,
) -> None:
    """Keep a space in step with a folder until Ctrl-C, as unisem index does once."""
    from unisem.ingest.folder_watch import FolderWatch
    from unisem.space import SemanticSpace

    require("unisem watch", "watchfiles", "unisem[watch]")  # before a space is made for nothing
    check_patterns(exclude, include)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    last: IngestReport | None = None
    chosen = encoder_for(encoder, asked, into)
    with SemanticSpace.open(into, encoder=chosen, store=store) as space:

        def changed() -> None:
            nonlocal last
            report = add_folder(
                space,
                folder,
                prune=prune if last is None else None,  # it is remembered
                location=not no_location,
                exclude=exclude,
                include=include,
                is_first=last is None,
            )
            if as_json:
                print_json(folder_report_as_json(report), indent=None)
            elif last is None:
                print_folder_report(report, folder, show_skipped=False)
                note(f"watching {folder}; Ctrl-C ends")
            else:
                _tell(report, last, folder)
            last = report

        def missing() -> None:
            note(f"{folder} is not there; nothing is removed, and it is waited for")

        watching = FolderWatch(
            folder,
            changed,
            missing=missing,
            space=space.path,
            exclude=tuple(exclude or ()),
            include=tuple(include or ()),
        )
        try:
            watching.run(threading.Event())
        except KeyboardInterrupt:
            note(f"Ended. What is done is kept: {amount(len(space), 'record')} in {into}.")
            raise typer.Exit(130) from None


def _tell(report: IngestReport, last: IngestReport, folder: Path) -> None:
    """One line for what has changed since the last time, and what needs a look."""
    counts = (
        (report.added, "added"),
        (report.renamed, "renamed"),
        (report.removed, "removed"),
        (len({*report.gone} - {*report.pruned, *last.gone}), "gone"),
        (len(report.skipped), "skipped"),
    )
    told = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    if told:
        results().print(f"{time.strftime('%H:%M:%S')}  {plain(told)}")
        print_remarks(report, folder)
