"""``unisem diagnose``: what stands between a space's queries and good answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unisem.cli.evaluate import check_writable, write_files
from unisem.cli.options import ImageRoots, Space
from unisem.cli.progress import progress_bars
from unisem.cli.search import open_existing
from unisem.cli.terminal import results, skipped_lines
from unisem.common.printable import plain

if TYPE_CHECKING:
    from unisem.evaluation.diagnosis import Diagnosis


def diagnose(
    space: Space,
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What users ask: .txt, one a line; .jsonl, .csv, .tsv with `text`."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Write a page with plots and pictures.")
    ] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON.")
    ] = None,
    asked: Annotated[
        int, typer.Option("--asked", metavar="N", min=2, help="Texts, and pictures, that ask.")
    ] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Decides every draw.")] = 0,
    image_roots: ImageRoots = None,
) -> None:
    """Say whether one modality wins, which records are hubs, and what to do about it."""
    for path in (report, as_json):
        if path is not None:
            check_writable(path)  # before minutes are lost to a mistyped name
    from unisem.evaluation.asked_queries import read_queries
    from unisem.evaluation.diagnosis import DiagnosisOptions
    from unisem.evaluation.examination import diagnose as run

    given = () if queries is None else read_queries(queries)
    options = DiagnosisOptions(queries=asked, seed=seed)
    with open_existing(space) as opened:
        for root in image_roots or ():
            opened.image_library.allow(root)
        with progress_bars() as show:
            found = run(opened, given, options=options, progress=show)
        _print(found)
        write_files(found, as_json, report)


def _print(found: Diagnosis) -> None:
    from rich.text import Text

    out = results()
    for finding in found.findings:
        head, style = ("problem", "bold red") if finding.is_problem else ("in order", "green")
        out.print(Text.assemble((head, style), f"  {plain(finding.text)}"), soft_wrap=True)
        if finding.remedy:
            out.print(Text(f"  what to do: {plain(finding.remedy)}", style="dim"), soft_wrap=True)
    for line in skipped_lines(found.skipped, fate="could not ask ", remedy="; --json lists all"):
        out.print(line, soft_wrap=True)
