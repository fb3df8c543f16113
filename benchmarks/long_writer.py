"""A writer that replaces the same records over and over: what a replacement costs, and the disk.

    python -m benchmarks.long_writer [--records 1000] [--writes 20000] [--dimension 384]
        [--durability relaxed]

One record a write. The live data are the files of a fresh, closed store of the same records.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord, Record, Vector
from unisem.stores.faiss import FaissStore

_PARTS = 5  # rows of the table, besides the first thousand
_WORDS = "word " * 20


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--writes", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--durability", choices=("full", "relaxed"), default="relaxed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Console().print(measured(Path(folder) / "s", options))


def measured(directory: Path, options: argparse.Namespace) -> Table:
    """Replace records one by one; latency and disk, part by part."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((options.records, options.dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store = FaissStore(directory, ImageLibrary(directory))
    store.add([item(vectors, number, 0) for number in range(options.records)])
    store.close()
    live = size(directory)
    store = FaissStore(directory, ImageLibrary(directory), durability=options.durability)
    seconds = np.empty(options.writes)
    searches = np.full(options.writes, np.nan)
    sizes = np.full(options.writes, np.nan)
    for turn in range(options.writes):
        start = time.perf_counter()
        store.add([item(vectors, turn % options.records, turn)])
        seconds[turn] = time.perf_counter() - start
        if turn % 50 == 0:
            start = time.perf_counter()
            store.search(vectors[:1], 5)
            searches[turn] = time.perf_counter() - start
            sizes[turn] = size(directory)
    table = Table(title=f"{options.records:,} records of {live / 1e6:.1f} MB, replaced one by one")
    for column in ("writes", "mean ms", "median ms", "99 % ms", "search ms", "disk / live, most"):
        table.add_column(column, justify="right", no_wrap=True)
    edges = [0, *np.linspace(0, options.writes, _PARTS + 1).astype(int)]
    for start, end in [(0, min(1000, options.writes)), *pairwise(edges[1:])]:
        part = 1e3 * seconds[start:end]
        table.add_row(
            f"{start:,}–{end:,}",
            f"{part.mean():.2f}",
            f"{np.median(part):.2f}",
            f"{np.percentile(part, 99):.1f}",
            f"{1e3 * np.nanmedian(searches[start:end]):.2f}",
            f"{np.nanmax(sizes[start:end]) / live:.2f}",
        )
    store.close()
    table.caption = f"closed: {size(directory) / live:.2f} of the live data"
    return table


def item(vectors: Vector, number: int, turn: int) -> EmbeddedRecord:
    """A record as it is at some turn."""
    record = Record(id=f"a{number}", text=f"text {number} {turn} {_WORDS}", metadata={"n": turn})
    return EmbeddedRecord(record, {"text": vectors[number]})


def size(directory: Path) -> int:
    """Bytes of all files."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
