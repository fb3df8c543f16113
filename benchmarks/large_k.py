"""What very many hits cost: at once and one after the other, in this checkout beside another one.

    git worktree add ../before COMMIT
    python -m benchmarks.large_k [--against ../before] [--records 200000] [--pictures]

Each checkout fills and compacts a store of its own (``flat``). For each number of hits a fresh
process opens it, searches for ten, and then is timed: until the first hit, until the last.
Processor time of the searching thread; memory is what cannot be dropped (anonymous pages), at its
most, beyond what there was before. Rounds take turns; the median is shown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parents[1]
_BATCH = 5000
_WORDS = 3000  # of the vocabulary
_MEGABYTE = 1 << 10  # in the kernel's kilobytes


def main() -> None:
    """Let both fill and answer, and print the table; or, asked by that, do one of these."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--pictures", action="store_true", help="captioned, instead of texts")
    parser.add_argument("--hits", type=int, nargs="+", default=[10, 100, 10_000, 200_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the stores are written")
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--pages", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill is not None:
        fill(options.fill, options.records, options.dimension, options.pictures)
    elif options.ask is not None:
        said = ask(options.ask, options.hits[0], options.dimension, options.pages)
        sys.stdout.write(json.dumps(said) + "\n")
    else:
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """Print a line for each number of hits and each way to get them."""
    ways: dict[str, tuple[Path, list[str]]] = {}
    if options.against is not None:
        ways["search, before"] = options.against.resolve(), []
    ways |= {"search": (HERE, []), "one after the other": (HERE, ["--pages"])}
    table = Table("hits", "", "first, ms", "all, ms", "µs a hit", "memory, MB")
    sizes = ["--records", str(options.records), "--dimension", str(options.dimension)]
    sizes += ["--pictures"] if options.pictures else []
    with tempfile.TemporaryDirectory(dir=options.folder) as parent:
        stores = {
            checkout: str(Path(parent) / str(place))
            for place, checkout in enumerate(
                dict.fromkeys(checkout for checkout, _ in ways.values())
            )
        }
        for checkout, store in stores.items():
            run(checkout, ["--fill", store, *sizes])
        for hits in options.hits:
            found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
            for _ in range(options.rounds):
                for name, (checkout, how) in ways.items():
                    line = ["--ask", stores[checkout], "--hits", str(hits), *how, *sizes]
                    found[name].append(json.loads(run(checkout, line)))
            for name, rounds in found.items():
                first, whole, memory = (
                    statistics.median(one[what] for one in rounds)
                    for what in ("first", "whole", "memory")
                )
                each = 1000 * whole / hits
                table.add_row(
                    f"{hits:,}",
                    name,
                    f"{first:.4g}",
                    f"{whole:.4g}",
                    f"{each:.3g}",
                    f"{memory:.0f}",
                )
    Console().print(table)


def run(checkout: Path, line: list[str]) -> str:
    """Do a part in a process of its own; what it says last."""
    env = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, *line], check=True, stdout=subprocess.PIPE, text=True, env=env
    )
    return (done.stdout.splitlines() or [""])[-1]


def fill(directory: Path, records: int, dimension: int, pictures: bool) -> None:
    """Write and compact a store of records with some words and three fields."""
    from unisem.images.library import ImageLibrary
    from unisem.images.reference import ImageRef
    from unisem.records import EmbeddedRecord, Record
    from unisem.stores.faiss import FaissStore

    rng = np.random.default_rng(0)
    store = FaissStore(directory, ImageLibrary(directory), index="flat", durability="relaxed")
    root = directory.parent / "pictures"
    for start in range(0, records, _BATCH):
        rows = rng.standard_normal((min(_BATCH, records - start), dimension), np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        words = rng.integers(0, _WORDS, (len(rows), 14)).tolist()
        items = []
        for number, (row, some) in enumerate(zip(rows, words, strict=True), start):
            image = ImageRef(
                path=root / f"album{number % 50}" / f"IMG_{number}.jpg",
                root=root,
                sha256=f"{number:064x}",
                mime_type="image/jpeg",
                width=640,
                height=480,
            )
            fields = {"year": number % 1000, "category": f"c {number % 10}", "title": f"t {number}"}
            record = Record(
                id=f"record {number}",
                text=" ".join(f"word{word}" for word in some),
                image=image if pictures else None,
                metadata=fields,
            )
            items.append(EmbeddedRecord(record, {"image" if pictures else "text": row}))
        store.add(items)
    store.compact()
    store.close()


def ask(directory: Path, hits: int, dimension: int, pages: bool) -> dict[str, float]:
    """Milliseconds until the first and the last hit, and megabytes."""
    from unisem.images.library import ImageLibrary
    from unisem.stores.faiss import FaissStore

    query = np.random.default_rng(1).standard_normal((1, dimension), np.float32)
    query /= np.linalg.norm(query)
    store = FaissStore(directory, ImageLibrary(directory))
    store.search(query, 10)
    with growth() as memory:
        begun = time.thread_time()
        first, count, kept = 0.0, 0, None
        if pages:
            for page in store.search_pages(query[0], hits):
                first = first or time.thread_time() - begun
                count += len(page)
                if count >= hits:
                    break
        else:
            kept = store.search(query, hits)[0]
            first, count = time.thread_time() - begun, len(kept)
        whole = time.thread_time() - begun
    assert count >= hits
    store.close()
    return {"first": 1000 * first, "whole": 1000 * whole, "memory": memory[-1]}


@contextmanager
def growth() -> Iterator[list[float]]:
    """How much more memory there was at most than at the beginning; the last item, afterwards."""
    before, most, done = anonymous(), [0.0], threading.Event()

    def look() -> None:
        while not done.wait(0.005):
            most.append(max(most[-1], anonymous() - before))

    watcher = threading.Thread(target=look)
    watcher.start()
    yield most
    most.append(max(most[-1], anonymous() - before))
    done.set()
    watcher.join()


def anonymous() -> float:
    """Megabytes of this process that the system cannot drop."""
    lines: dict[str, Any] = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
    )
    return int(lines["RssAnon"].split()[0]) / _MEGABYTE


if __name__ == "__main__":
    main()
