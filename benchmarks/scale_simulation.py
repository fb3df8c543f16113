"""From what the parts of a search take at two sizes to other sizes, on one machine or many.

    python -m benchmarks.scale_simulation [--parts FEW.json MORE.json MOST.json]
        [--markdown docs/measured/scale.md]

`benchmarks.codes` measures the parts, `Model` puts them together. What the first two say of the
third is held against it; what the last two say of other sizes is what is predicted.
``docs/measured/scale.md`` names every assumption.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.codes_parts import FETCH, Parts, Timed
from benchmarks.peers.report import Sheet, write_between_marks
from benchmarks.scale_model import Model
from unisem.stores.faiss.kinds.tuning import K

PARTS = tuple(
    Path(__file__).with_name(f"scale_parts_{rows}.json") for rows in (10**5, 10**6, 10**7)
)
SIZES = (10**6, 10**7, 10**8, 10**9)
LIMIT = 0.25  # by how much a prediction may be off


def main() -> None:
    """Print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    told = "three sizes, the least first, measured by benchmarks.codes"
    parser.add_argument("--parts", type=Path, nargs=3, default=PARTS, help=told)
    parser.add_argument("--markdown", type=Path, help="a page, or the marked part of one")
    options = parser.parse_args()
    few, more, most = measured = [Parts.load_file(path) for path in options.parts]
    sheets = [*map(measured_sheet, measured), built_sheet(measured)]
    sheets += [*comparison(Model(few, more), most), predictions(Model(more, most))]
    for sheet in sheets:
        Console(width=150).print(sheet.as_rich())
    if options.markdown:
        text = "\n\n".join(sheet.as_markdown() for sheet in sheets)
        write_between_marks(text + "\n", options.markdown)


def measured_sheet(parts: Parts) -> Sheet:
    """What a search takes, as it was measured."""
    rows = [
        (
            _setting(timed) + (", as the store chose" if timed is parts.timed[-1] else ""),
            f"{timed.recall:.3f} ± {1.96 * timed.recall_error:.3f}",
            f"{timed.looked_at:,.0f}",
            f"{timed.find_ms:.2f}",
            f"{timed.lists_ms:.2f}",
            f"{timed.read_ms:.2f}",
            f"{timed.first_read_ms:.1f}",
            f"{timed.total_ms:.2f}",
            f"{timed.p95_ms:.2f}",
        )
        for timed in parts.timed
    ]
    columns = ("rescored, lists", "recall@10", "codes looked at", "codes ms", "of it lists",
               "rescoring ms", "from the disk, by the clock", "search ms", "p95 ms")  # fmt: skip
    title = f"A search of {parts.rows:,} vectors, {parts.queries} queries"
    return Sheet(title, columns, rows)


def built_sheet(measured: Sequence[Parts]) -> Sheet:
    """What the index takes, as it was measured."""
    columns: list[tuple[str, ...]] = [
        (
            f"{parts.built.lists:,}",
            f"{parts.built.train_s:,.1f}",
            f"{parts.built.encode_us:.1f}",
            f"{parts.built.assign_us:.1f}",
            f"{parts.built.tune_s:,.1f}",
            f"{parts.file_bytes / parts.rows:.1f}",
            f"{parts.built.private_mb:,.0f}",
            f"{parts.private_mb:,.0f}",
            f"{parts.noise:.4f}, {parts.bias:+.4f} on average",
            f"{parts.built.load:.1f}, {parts.load:.1f}",
        )
        for parts in measured
    ]
    names = ("lists", "finding them and the pairs, s", "encoding, µs a vector",
             "of it choosing a list", "finding out what a search needs, s",
             "codes' file, bytes a vector", "private when built, MB", "private after asking, MB",
             "codes err by", "load when built, when asked")  # fmt: skip
    rows = list(zip(names, *columns, strict=True))
    return Sheet("The index", ("", *(f"{parts.rows:,}" for parts in measured)), rows)


def predictions(model: Model) -> Sheet:
    """From a million to a billion records, with the quickest setting that finds .99 or the best."""
    rows = []
    for size in SIZES:
        made = model.best(size)
        rows.append(
            (
                f"{size:,}",
                f"{made.oversampling * FETCH:,}, {made.probes:,} of {made.lists:,}",
                f"{made.shards:,}",
                f"{made.p50_ms:.1f}",
                f"{made.p99_ms:.1f}",
                f"{made.recall:.3f}",
                f"{made.searches_s:,.0f}",
                f"{made.codes_gb:,.1f}",
                f"{made.disk_gb:,.1f}",
                f"{made.build_hours:,.2f}",
                f"{made.embed_hours:,.0f}",
                f"{made.month:,.0f}",
            )
        )
    columns = ("records", "rescored, lists, of a shard", "shards", "p50 ms", "p99 ms", "recall@10",
               "searches/s, all cores busy", "codes GB", "disk GB", "index's core hours",
               "pictures' core hours", "$ a month")  # fmt: skip
    title = f"Predicted from {model.smaller.rows:,} and {model.parts.rows:,}"
    return Sheet(title, columns, rows)


def comparison(model: Model, other: Parts) -> tuple[Sheet, Sheet]:
    """Searches, and the index, of another size on one machine: as predicted and as measured."""
    parts, built = model.parts, other.built
    searches = []
    for timed in other.timed:
        oversampling, probes = timed.oversampling, timed.probes
        times = model.times(other.rows, oversampling, probes)
        recall = model.recall(other.rows, 1, oversampling, probes)
        missed = max(1 - timed.recall, 0.5 / (K * other.queries))
        searches.append(
            (
                _setting(timed),
                _beside(model.looked_at(other.rows, probes), timed.looked_at, 0),
                _beside(times.find, timed.find_ms, 2),
                _beside(times.read, timed.read_ms, 2),
                _beside(times.total, timed.total_ms, 2),
                _beside(recall, timed.recall, 3),
                _beside(1 - recall, missed, 4),
            )
        )
    index = [
        (name, _beside(predicted, measured, 1))
        for name, predicted, measured in (
            ("finding lists and pairs, s", model.train_s(built.lists), built.train_s),
            ("encoding, µs a vector", model.encode_us(built.lists), built.encode_us),
            (
                "codes' bytes a vector",
                parts.file_bytes / parts.rows,
                other.file_bytes / other.rows,
            ),
        )
    ]
    columns = ("rescored, lists", "codes looked at", "codes ms", "rescoring ms", "search ms",
               "recall@10", "missed of the ten best")  # fmt: skip
    title = f"Predicted from {model.smaller.rows:,} and {parts.rows:,} / measured at {other.rows:,}"
    told = "(**NO**: not within 25 %)"
    return Sheet(f"{title} {told}", columns, searches), Sheet(title, ("", "the index"), index)


def _beside(predicted: float, measured: float, digits: int) -> str:
    off = predicted / measured - 1
    told = f"{predicted:,.{digits}f} / {measured:,.{digits}f}, {100 * off:+.0f} %"
    return told if abs(off) <= LIMIT else f"{told} **NO**"


def _setting(timed: Timed) -> str:
    return f"{timed.oversampling * FETCH}, {timed.probes}"


if __name__ == "__main__":
    main()
