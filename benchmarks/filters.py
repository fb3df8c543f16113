"""What the first filters of a fresh process cost in this checkout beside another one.

    git worktree add ../before COMMIT
    python -m benchmarks.filters --against ../before [--records 200000] [--dimension 64]

Each checkout fills and compacts a store of its own; a fresh process opens it, searches without a
filter and then asks with each filter for the first time. Processor time of the searching thread,
which says more than the clock on a busy machine; each figure contains one search.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parents[1]
_BATCH = 5000


def main() -> None:
    """Let both fill and answer, and print the table; or, asked by that, do one of these."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill is not None:
        sys.stdout.write(json.dumps(fill(options.fill, options.records, options.dimension)) + "\n")
    elif options.ask is not None:
        sys.stdout.write(json.dumps(ask(options.ask, options.dimension)) + "\n")
    elif options.against is None:
        parser.error("--against: the checkout to compare with")
    else:
        found = [measured(checkout, options) for checkout in (options.against.resolve(), HERE)]
        table = Table("", "before, ms", "now, ms")
        for name in found[0]:
            table.add_row(name, *(f"{side[name]:.4g}" for side in found))
        Console().print(table)


def measured(checkout: Path, options: argparse.Namespace) -> dict[str, float]:
    """Fill and ask one checkout, in two processes."""
    env = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    sizes = ["--records", str(options.records), "--dimension", str(options.dimension)]
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as parent:
        for what in ("--fill", "--ask"):
            line = [sys.executable, __file__, what, str(Path(parent) / "s"), *sizes]
            done = subprocess.run(line, check=True, capture_output=True, text=True, env=env)
            found |= json.loads(done.stdout.splitlines()[-1])
    return found


def fill(directory: Path, records: int, dimension: int) -> dict[str, float]:
    """Write and compact a store whose records have a year, a category and a title of their own."""
    from unisem.images.library import ImageLibrary
    from unisem.records import EmbeddedRecord, Record
    from unisem.stores.faiss import FaissStore

    rng = np.random.default_rng(0)
    store = FaissStore(directory, ImageLibrary(directory), index="flat", durability="relaxed")
    for start in range(0, records, _BATCH):
        rows = rng.standard_normal((min(_BATCH, records - start), dimension), np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        years = rng.integers(0, 1000, len(rows)).tolist()
        store.add(
            [
                EmbeddedRecord(Record(id=str(n), text="a text", metadata=metadata), {"text": row})
                for n, (year, row) in enumerate(zip(years, rows, strict=True), start)
                for metadata in [{"year": year, "category": f"c {n % 10}", "title": f"title {n}"}]
            ]
        )
    begun = time.process_time()
    store.compact()
    compacted = 1000 * (time.process_time() - begun)
    store.close()
    return {"compacting": compacted}


def ask(directory: Path, dimension: int) -> dict[str, float]:
    """Milliseconds of a search with each filter for the first time."""
    from unisem.filters import Field
    from unisem.images.library import ImageLibrary
    from unisem.stores.faiss import FaissStore
    from unisem.stores.selection import Selection

    query = np.full((1, dimension), dimension**-0.5, np.float32)
    store = FaissStore(directory, ImageLibrary(directory))
    selections = {
        "opened, without a filter": Selection(),
        "without a filter": Selection(),
        "year < 500": Selection(filter=Field("year") < 500),
        "category ==": Selection(filter=Field("category") == "c 3"),
        "title ==, all titles differ": Selection(filter=Field("title") == "title 77"),
        "modality": Selection(modality="text"),
        "year < 499, the field known": Selection(filter=Field("year") < 499),
    }
    found = {}
    for name, selection in selections.items():
        begun = time.thread_time()
        store.search(query, 10, selection)
        found[name] = 1000 * (time.thread_time() - begun)
    store.close()
    return found


if __name__ == "__main__":
    main()
