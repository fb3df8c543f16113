"""What it costs to delete a thousand records of very many, in this checkout beside another one.

    git worktree add ../before COMMIT
    python -m benchmarks.deleting --against ../before --work DIR [--records 200000] [--batches 10]

A store of records with vectors of 384 dimensions is filled by the other checkout, and indexed
(``flat``). Each of both opens a copy in a process of its own, asks once, and deletes batches of a
thousand ids drawn at random, each followed by a query. What lies in --work is used again, as
filling takes minutes, and 3 GB for each million. Both take turns; nothing is deleted twice.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parents[1]
_DIMENSION = 384
_AT_ONCE = 5000  # records a commit
_BATCH = 1000  # ids a deletion


def main() -> None:
    """Fill, let both take turns, and print the table; or, asked by that, do one of these."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--delete", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--turn", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill is not None:
        fill(options.fill, options.records)
        return
    if options.delete is not None:
        print(json.dumps(deleted(options.delete, options)))
        return
    sides = {"before": options.against.resolve(), "now": HERE}
    for side in sides:
        path = options.work / f"{side}-{options.records}"
        if side == "before" and not path.exists():
            in_process(sides["before"], options, "--fill", path)
        elif not path.exists():
            shutil.copytree(options.work / f"before-{options.records}", path)
    table = Table(
        "", "processor ms: first", "median", "most", "ms: first", "median", "most", "load"
    )
    for turn in range(options.turns):
        for side, checkout in sides.items():
            path = options.work / f"{side}-{options.records}"
            found = in_process(checkout, options, "--delete", path, "--turn", turn)
            times = json.loads(found.splitlines()[-1])
            row = [f(times[what]) for what in ("work", "wall") for f in (_first, median, max)]
            load = f"{os.getloadavg()[0]:.1f}"
            table.add_row(f"{side}, turn {turn + 1}", *(f"{it:,.1f}" for it in row), load)
    Console(width=120).print(
        f"{options.records:,} records, {options.batches} batches of {_BATCH:,} ids", table
    )


def _first(values: list[float]) -> float:
    return values[0]


def in_process(checkout: Path, options: argparse.Namespace, *what: object) -> str:
    """Do a part in another process, with the code of a checkout."""
    line = [sys.executable, __file__, *map(str, what)]
    line += ["--records", str(options.records), "--batches", str(options.batches)]
    env = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout


def fill(path: Path, records: int) -> None:
    """Make the store; through the catalogue, as its vectors would otherwise be in memory, too."""
    from unisem.images.library import ImageLibrary
    from unisem.records import EmbeddedRecord, Record
    from unisem.stores.faiss import FaissStore
    from unisem.stores.faiss.index_settings import IndexSettings

    path.mkdir(parents=True)
    rng = np.random.default_rng(0)
    settings = IndexSettings("flat")  # which every checkout has
    store = FaissStore(path, ImageLibrary(path), index=settings, durability="relaxed")
    store._files.lock_for_writing()
    catalog = store._files.catalog
    with catalog.transaction():
        catalog.settle_dimension(_DIMENSION)
    for first in range(0, records, _AT_ONCE):
        vectors = rng.standard_normal((_AT_ONCE, _DIMENSION)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        items = [
            EmbeddedRecord(
                Record(
                    id=str(number),
                    text=" ".join(f"word{n}" for n in rng.integers(0, 200, 16)),
                    metadata={"year": number % 1000, "title": f"title {number}"},
                ),
                {"text": vector},
            )
            for number, vector in enumerate(vectors, first)
        ]
        with catalog.transaction():
            catalog.add(items)
    store.compact()
    store.close()


def deleted(path: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    """Milliseconds of each batch, by the clock and of the processor."""
    from unisem.images.library import ImageLibrary
    from unisem.stores.faiss import FaissStore
    from unisem.stores.selection import Selection

    order = np.random.default_rng(1).permutation(options.records)
    chosen = order[options.turn * options.batches * _BATCH :][: options.batches * _BATCH]
    query = np.eye(1, _DIMENSION, dtype=np.float32)
    store = FaissStore(path, ImageLibrary(path))
    store.search(query, 10)
    times: dict[str, list[float]] = {"wall": [], "work": []}
    for ids in chosen.reshape(options.batches, _BATCH).tolist():
        selection = Selection(ids=tuple(map(str, ids)))
        start, work = time.perf_counter(), time.thread_time()
        store.delete(selection)
        times["work"].append(1000 * (time.thread_time() - work))
        times["wall"].append(1000 * (time.perf_counter() - start))
        store.search(query, 10)
    store.close()
    return times


if __name__ == "__main__":
    main()
