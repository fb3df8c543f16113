"""What became of a folder's files, for a person and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from unisem.cli.terminal import amount, results, skipped_lines
from unisem.common.printable import plain

if TYPE_CHECKING:
    from unisem.ingest.ingest_report import IngestReport

_SHOWN = 10  # skipped inputs that are listed unasked
_NAMED = 3  # records that are named where something is said of many


def print_folder_report(report: IngestReport, folder: Path, *, show_skipped: bool) -> None:
    """Print what is known of a run: counts, then what needs a look."""
    out = results()
    out.print(_counts(report))
    if (found := _documents(report)) is not None:
        out.print(found, soft_wrap=True)
    print_remarks(report, folder, show_skipped=show_skipped)


def print_remarks(report: IngestReport, folder: Path, *, show_skipped: bool = False) -> None:
    """Print what needs a look: what was skipped, what was passed over, what has gone."""
    out = results()
    inside = f"{folder.resolve()}/"
    skipped = [replace(it, name=it.name.removeprefix(inside)) for it in report.skipped]
    most = len(skipped) if show_skipped else _SHOWN
    for line in skipped_lines(skipped, most=most, remedy="; --show-skipped lists all"):
        out.print(line, soft_wrap=True)
    for remark in _remarks(report):
        out.print(remark, soft_wrap=True)


def folder_report_as_json(report: IngestReport) -> dict[str, Any]:
    """The whole report under its own names."""
    return asdict(report) | {"renamed": report.renamed}


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


def _remarks(report: IngestReport) -> list[str]:
    """What was passed over, by kind or in part, and which records have lost their file."""
    remarks: list[str] = []
    if report.ignored:
        remarks.append(f"ignored: {_counted(report.ignored)}")
    if report.left_out:
        remarks.append(f"left out: {_counted(report.left_out)}")
    if long := report.long_captions:
        captions = f"{amount(len(long), 'caption')} ({_named(long)})"
        end = "longer than the encoder reads, whose end is found by keyword only"
        remarks.append(f"read in part: {captions} {end}")
    if report.withheld is not None:
        pruned = set(report.pruned)
        kept = [it for it in report.gone if it not in pruned]
        lost = f"{amount(len(kept), 'file')} ({_named(kept)})"
        remarks.append(f"gone: {lost}, {report.withheld}")
    return [plain(remark) for remark in remarks]


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {kind or 'without a suffix'}" for kind, count in kinds.items())


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_NAMED]) + (" …" if len(ids) > _NAMED else "")
