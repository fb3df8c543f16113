"""`print_report`: what an evaluation found, as tables on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.cli.terminal import amount, note, results, skipped_lines
from unisem.common.printable import plain

_WORST = 5  # classes that are named

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from unisem.evaluation.options import EvaluationOptions
    from unisem.evaluation.report import EncoderResult, Estimate, Report


def print_report(report: Report) -> None:
    """Print an evaluation's figures, its encoders' spaces, and the worst classes."""
    out = results()
    data = report.data
    out.print(
        f"{plain(data.name)}: {amount(data.pairs, 'pair')}, {amount(data.images, 'picture')}, "
        f"{amount(data.captions, 'caption')}",
        soft_wrap=True,
    )
    for line in skipped_lines(data.skipped, fate="left out ", remedy="; --json lists all"):
        out.print(line, soft_wrap=True)
    out.print(_figures(report))
    for name, result in zip(report.names, report.encoders, strict=True):
        out.print(_diagnosis(plain(name), result), soft_wrap=True)
        if result.calibrated:
            out.print(_calibrated(plain(name), result, report.options))
    if classes := report.encoder.classes:
        worst = "; ".join(
            f"{plain(one.name)} {one.accuracy:.3f}"
            + "".join(f", {count:,} taken for {plain(name)}" for name, count in first)
            for one in classes[:_WORST]
            for first in [list(one.confused.items())[:1]]
        )
        out.print(f"worst classes: {worst}", soft_wrap=True)
    if all(task.single for task in report.encoder.tasks):
        note("every query has one relevant answer, so recall@k is hit@k, and MAP is MRR")
    if report.against is not None and report.against.fingerprint == report.encoder.fingerprint:
        note("both encoders are the same model")


def _figures(report: Report) -> Table:
    """A row per task and measure; with another encoder its figure and the difference, too."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from unisem.evaluation.ranking import told_by_others

    interval = f"{100 * report.options.confidence:g} % interval"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("task")
    table.add_column("measure")
    for name in report.names:
        table.add_column(Text(plain(name)), justify="right", overflow="fold")
    if report.against is not None:
        table.add_column("difference", justify="right")
    table.add_column(interval, no_wrap=True)
    for number, task in enumerate(report.encoder.tasks):
        names = [name for name in task.measures if not (task.single and told_by_others(name))]
        for position, name in enumerate(names):
            table.add_row(
                task.task if position == 0 else "",
                name,
                *_cells(report, number, name),
                end_section=position == len(names) - 1,
            )
    return table


def _calibrated(name: str, result: EncoderResult, options: EvaluationOptions) -> Table:
    """What calibrating to half of the data does to the other half."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from unisem.evaluation.ranking import told_by_others

    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        title=f"{name}, calibrated to one half of the data, asked about the other; "
        f"means of {options.splits}",
        title_justify="left",
    )
    table.add_column("task")
    for heading in ("measure", "raw", "calibrated", "change"):
        table.add_column(heading, justify="left" if heading == "measure" else "right")
    table.add_column(f"{100 * options.confidence:g} % interval", no_wrap=True)
    for task in result.calibrated:
        names = [name for name in task.before if not told_by_others(name)]
        for position, measure in enumerate(names):
            change = task.change[measure]
            table.add_row(
                task.task if position == 0 else "",
                measure,
                f"{task.before[measure].value:.3f}",
                f"{task.after[measure].value:.3f}",
                Text(f"{change.value:+.3f}", style=_style(change)),
                f"{change.low:+.3f} to {change.high:+.3f}",
            )
        table.add_row(
            "",
            "largest hub",
            f"{task.hub_before:.3f}",
            f"{task.hub_after:.3f}",
            f"{task.hub_after - task.hub_before:+.3f}",
            "",
            end_section=True,
        )
    return table


def _cells(report: Report, number: int, name: str) -> list[str | Text]:
    from rich.text import Text

    ours = report.encoder.tasks[number].measures[name]
    if report.against is None:
        return [f"{ours.value:.3f}", f"{ours.low:.3f} to {ours.high:.3f}"]
    theirs = report.against.tasks[number].measures[name]
    change = report.differences[number].measures[name]
    return [
        f"{theirs.value:.3f}",
        f"{ours.value:.3f}",
        Text(f"{change.value:+.3f}", style=_style(change)),
        f"{change.low:+.3f} to {change.high:+.3f}",
    ]


def _style(change: Estimate) -> str:
    if not change.excludes_zero:
        return ""
    return "green" if change.value > 0 else "red"


def _diagnosis(name: str, result: EncoderResult) -> str:
    worst = max(result.tasks, key=lambda task: task.hubness.largest)
    gap = result.geometry
    told_apart = None if gap is None else gap.separability
    return (
        f"{name}: "
        + ("" if gap is None else f"modality gap {gap.centroid_distance:.3f}, ")
        + ("" if told_apart is None else f"separability {told_apart:.3f}, ")
        + f"largest hub in {100 * worst.hubness.largest:.0f} % of the first tens ({worst.task})"
    )
