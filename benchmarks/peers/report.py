"""`sheets`, `markdown` and `plot`: what was measured, for a terminal, a page and the eye."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.peers.registry import OURS, PEERS
from benchmarks.peers.results import Figures, QueryFigures, Results
from benchmarks.peers.targets import judge

START, END = "<!-- measured -->", "<!-- /measured -->"
_NONE = "–"
_LEAST_MISSED = 0.0005


@dataclass(frozen=True)
class Sheet:
    """A table, before it is anybody's markup."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def as_rich(self) -> Table:
        """For a terminal."""
        table = Table(*self.columns, title=self.title, title_justify="left")
        table.columns[0].no_wrap = True
        for row in self.rows:
            table.add_row(*row)
        return table

    def as_markdown(self) -> str:
        """For a page."""
        lines = [
            f"### {self.title}",
            "",
            f"| {' | '.join(self.columns)} |",
            f"|{'|'.join('---' if place == 0 else '--:' for place in range(len(self.columns)))}|",
            *(f"| {' | '.join(row)} |" for row in self.rows),
        ]
        return "\n".join(lines)


def sheets(results: Results) -> list[Sheet]:
    """All tables: four for each size, then what is wanted."""
    found = []
    for rows in results.sizes():
        here = [figures for figures in results.figures if figures.rows == rows]
        found += [
            _queries(results, here, rows),
            _filters(here, rows),
            _writes(here, rows),
            _opening(here, rows),
        ]
    return [*found, _targets(results)]


def markdown(results: Results) -> str:
    """All tables, after what they were measured with."""
    parts = [f"Measured with {machine_line(results)}."]
    if results.skipped:
        parts.append("Left out: " + "; ".join(results.skipped) + ".")
    parts += [sheet.as_markdown() for sheet in sheets(results)]
    chosen = [f"- {each.name}, {each.rows:,} rows: {each.built}"
              for each in results.figures if each.kind == "auto"]  # fmt: skip
    if chosen:
        parts.append("### What was chosen\n\n" + "\n".join(chosen))
    troubles = [f"- {each.name}, {each.rows:,} rows: {trouble}"
                for each in results.figures for trouble in _together(each.trouble)]  # fmt: skip
    if troubles:
        parts.append("### What was not done\n\n" + "\n".join(troubles))
    return "\n\n".join(parts) + "\n"


def _together(troubles: list[str]) -> list[str]:
    """What was not done, each reason once, after all that it is a reason for."""
    what: dict[str, list[str]] = {}
    for trouble in troubles:
        undone, _, reason = trouble.partition(": ")
        what.setdefault(reason, []).append(undone)
    return [f"{', '.join(undone)}: {reason}" for reason, undone in what.items()]


def write_markdown(results: Results, path: Path, picture: Path | None = None) -> None:
    """Write the tables and a plot, or put them between the marks of a page that has them."""
    text = markdown(results)
    if picture is not None:
        place = os.path.relpath(picture, path.parent)
        text += f"\n![Recall against latency]({place})\n"
    write_between_marks(text, path)


def write_between_marks(text: str, path: Path) -> None:
    """Write a page, or put a text between the marks of one that has them."""
    if path.exists():
        page = path.read_text(encoding="utf-8")
        if START in page and END in page:
            head, tail = page.split(START)[0], page.split(END)[1]
            text = f"{head}{START}\n\n{text}\n{END}{tail}"
    path.write_text(text, encoding="utf-8")


def machine_line(results: Results) -> str:
    """One line about the run."""
    return ", ".join(f"{name} {value}" for name, value in results.machine.items())


def plot(results: Results, path: Path) -> None:
    """Draw recall against latency: curves over effort, points at defaults.

    Of several sizes the one that most contenders were measured at is drawn, else the largest.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib

    matplotlib.use("svg" if path.suffix == ".svg" else "agg")
    matplotlib.rcParams["svg.hashsalt"] = "unisem"
    from matplotlib import pyplot

    sizes = [each.rows for each in results.figures if "all" in each.queries]
    rows = max(sizes, key=lambda size: (sizes.count(size), size))
    here = [each for each in results.figures if each.rows == rows and "all" in each.queries]
    figure, axes = pyplot.subplots(figsize=(9, 6))
    colours: dict[str, Any] = {}
    for each in here:
        whole = each.queries["all"]
        colour = colours.setdefault(each.peer, f"C{len(colours)}")
        points = sorted(each.efforts, key=lambda point: point.effort)
        style = {"hnsw": "-", "ivf_rabitq": ":", "ivf_pq": ":"}.get(each.kind, "--")
        missed, times = [_missed(p.recall) for p in points], [p.p50_ms for p in points]
        axes.plot(missed, times, style, color=colour, marker=".", linewidth=1)
        mark, size = ("*", 13) if each.peer == OURS else ("o", 6)
        axes.plot(_missed(whole.recall), whole.p50_ms, mark, color=colour, markersize=size)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.invert_xaxis()
    low, high = (math.log(limit) for limit in axes.get_ylim())
    lines = sorted(here, key=lambda each: each.queries["all"].p50_ms)
    heights = [(math.log(each.queries["all"].p50_ms) - low) / (high - low) for each in lines]
    for each, height in zip(lines, _apart(heights, 0.04), strict=True):
        whole = each.queries["all"]
        axes.annotate(
            each.name,
            (_missed(whole.recall), whole.p50_ms),
            xytext=(1.04, height),
            textcoords="axes fraction",
            fontsize=8,
            color=colours[each.peer],
            va="center",
            arrowprops={"arrowstyle": "-", "color": colours[each.peer], "linewidth": 0.4},
        )
    axes.set_xlabel(f"share of the exact ten that is missed, {_LEAST_MISSED} standing for none")
    axes.set_ylabel("ms per query, median")
    axes.set_title(
        f"{rows:,} rows: marks at each store's default, lines over search effort\n"
        "(solid: hnsw, dotted: in lists); right and down is better",
        fontsize=10,
    )
    axes.grid(visible=True, which="both", alpha=0.25)
    figure.savefig(path, dpi=150, bbox_inches="tight")
    pyplot.close(figure)


def _missed(recall: float) -> float:
    return max(1 - recall, _LEAST_MISSED)


def _apart(heights: list[float], least: float) -> list[float]:
    """Move ascending heights so far apart that their labels do not cover each other."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + least) if placed else height)
    shift = max(0.0, placed[-1] - 1) if placed else 0.0
    return [height - shift for height in placed]


def _queries(results: Results, here: list[Figures], rows: int) -> Sheet:
    lines = []
    for each in here:
        whole = each.queries.get("all")
        if whole is None:
            continue
        bare, ours = results.bare(each), results.find(OURS, each.kind, rows)
        lines.append(
            (
                each.name,
                f"{whole.recall:.3f}",
                f"{whole.p50_ms:.2f}",
                f"{whole.p95_ms:.2f}",
                f"{whole.speed:.2f}" if whole.speed else _NONE,
                _ratio(whole, bare),
                _ratio(whole, ours),
                str(whole.queries),
                " to ".join(f"{load:.1f}" for load in each.load),
            )
        )
    columns = ("store and index", "recall@10", "p50 ms", "p95 ms", "times faster than IndexFlatIP",
               "x bare Faiss", "x UniSem", "queries a round", "load")  # fmt: skip
    return Sheet(f"Query to records, {rows:,} rows", columns, lines)


def _filters(here: list[Figures], rows: int) -> Sheet:
    labels = list(dict.fromkeys(label for each in here for label in each.queries if label != "all"))
    lines = []
    for each in here:
        whole = each.queries.get("all")
        if whole is None:
            continue
        cells = []
        for label in labels:
            figures = each.queries.get(label)
            cells.append(
                _NONE
                if figures is None
                else f"{figures.recall:.3f}, {figures.p50_ms:.2f} ms "
                f"({figures.ratio_to(whole):.2f} x; first {figures.first_ms:.1f})"
            )
        lines.append((each.name, *cells))
    title = f"Filtered to a share of {rows:,} rows: recall@10, p50 (x unfiltered; first ms)"
    return Sheet(title, ("store and index", *labels), lines)


def _writes(here: list[Figures], rows: int) -> Sheet:
    lines = []
    for each in here:
        if not each.rows_per_second:
            continue
        batch = f"{each.delete_batch:,}" if each.delete_ms else _NONE
        lines.append(
            (
                each.name + ("" if PEERS[each.peer].durable else " *"),
                f"{each.rows_per_second:,.0f}",
                f"{each.build_seconds:.1f}",
                f"{each.disk_mb:,.0f}",
                batch,
                f"{statistics.median(each.delete_ms):.1f}" if each.delete_ms else _NONE,
                f"{max(each.delete_ms):.1f}" if each.delete_ms else _NONE,
                f"{statistics.median(each.next_query_ms):.1f}" if each.delete_ms else _NONE,
            )
        )
    columns = ("store and index (* in memory until saved)", "rows/s", "then index s", "disk MB",
               "ids a batch", "delete ms, median", "worst", "next query ms")  # fmt: skip
    return Sheet(f"Ingest and delete, {rows:,} rows", columns, lines)


def _opening(here: list[Figures], rows: int) -> Sheet:
    lines = [
        (
            each.name,
            f"{each.open_ms:,.0f}",
            f"{each.import_seconds:.2f}",
            f"{each.anonymous_mb:,.0f}",
            f"{each.resident_mb:,.0f}",
            f"{each.index_mb:,.1f}" if each.index_mb else _NONE,
            f"{each.float_mb / each.index_mb:.2f} x" if each.index_mb else _NONE,
        )
        for each in here
        if each.open_ms
    ]
    columns = ("store and index", "open to first answer ms", "import s", "private MB",
               "resident MB", "Faiss files MB", "float32 / files")  # fmt: skip
    return Sheet(f"Open in a fresh process, {rows:,} rows", columns, lines)


def _targets(results: Results) -> Sheet:
    words = {True: "met", False: "MISSED", None: _NONE}
    lines = [
        (
            verdict.wanted,
            f"{verdict.rows:,}",
            verdict.measured,
            words[verdict.met],
            verdict.floor,
        )
        for verdict in judge(results)
    ]
    columns = ("wanted", "at rows", "measured", "", "bare Faiss at best")
    return Sheet("What is wanted", columns, lines)


def _ratio(mine: QueryFigures, other: Figures | None) -> str:
    if other is None or "all" not in other.queries:
        return _NONE
    return f"{mine.ratio_to(other.queries['all']):.2f}"
