"""What a store costs in this checkout beside another one: ingest, small writes, opening, queries.

    git worktree add ../before COMMIT
    python -m benchmarks.store_cost --against ../before [--records 100000] [--rounds 5]

Processes of both take turns, one thread each; medians, and the least. Files lie in --folder, which
should be in memory, as the disk's fsync would drown the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parents[1]
_DIMENSION = 512
_BATCH = 5000  # rows an add
_SINGLE = 500  # replacements of one record
_QUERIES = 100


def main() -> None:
    """Let both take turns, and print the table; or, asked by that, measure one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="/dev/shm, for example")
    options = parser.parse_args()
    if options.against is None:
        sys.stdout.write(json.dumps(measured(options.records, options.folder)) + "\n")
        return
    sides = {"before": options.against.resolve(), "now": HERE}
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side, checkout in sides.items():
            found[side].append(in_process(checkout, options))
    Console().print(compared(found["before"], found["now"]))


def in_process(checkout: Path, options: argparse.Namespace) -> dict[str, float]:
    """Measure one checkout in a process of its own."""
    line = [sys.executable, __file__, "--records", str(options.records)]
    if options.folder is not None:
        line += ["--folder", str(options.folder)]
    env = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, check=True, capture_output=True, text=True, env=env)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compared(before: Sequence[dict[str, float]], now: Sequence[dict[str, float]]) -> Table:
    """A row for each figure, in milliseconds."""
    table = Table("", "before, ms", "now, ms", "x median", "x least")
    for name in before[0]:
        old, new = ([run[name] for run in runs] for runs in (before, now))
        ratios = f"{median(new) / median(old):.2f}", f"{min(new) / min(old):.2f}"
        table.add_row(name, f"{median(old):.3g}", f"{median(new):.3g}", *ratios)
    return table


def measured(records: int, folder: Path | None) -> dict[str, float]:
    """Fill, change, close, open and search one space; milliseconds by name."""
    from unisem import Encoder, Query, Record, SemanticSpace
    from unisem.search import EmbeddedRecord

    class Nothing(Encoder):  # vectors are given
        name = fingerprint = "none"
        dimension = _DIMENSION

        def encode_texts(self, *_: object, **__: object) -> np.ndarray:
            raise AssertionError("the vectors are given")

        encode_images = encode_texts

    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((records, _DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items = [
        EmbeddedRecord(
            Record(
                id=f"a{number}",
                text=f"text {number} " + "word " * 20,
                metadata={"year": number % 100, "category": number % 10},
            ),
            {"text": vectors[number]},
        )
        for number in range(records)
    ]
    with tempfile.TemporaryDirectory(dir=folder) as parent:
        path = Path(parent) / "s.unisem"
        results: dict[str, float] = {}
        space = SemanticSpace.open(path, encoder=Nothing())

        def fill() -> None:
            for first in range(0, records, _BATCH):
                space.add_embedded(items[first : first + _BATCH])
            space.close()

        start = time.process_time()
        results["ingest until closed, wall"] = clocked(fill, time.perf_counter)
        results["ingest until closed, CPU"] = 1000 * (time.process_time() - start)
        space = SemanticSpace.open(path, encoder=Nothing())
        space.add_embedded(items[:1])
        results["a replacement, CPU"] = (
            clocked(lambda: [space.add_embedded([item]) for item in items[:_SINGLE]]) / _SINGLE
        )
        ids = [f"a{number}" for number in range(2000, 3000)]
        results["delete of 1,000, CPU"] = clocked(lambda: space.delete(ids))
        space.compact()
        space.close()

        queries = [Query(vector=vector, k=10) for vector in vectors[:_QUERIES]]

        def first_answer() -> None:
            nonlocal space
            space = SemanticSpace.open(path, encoder=Nothing())
            space.search_query(queries[0])

        results["open to the first answer, CPU"] = clocked(first_answer)
        results["query, CPU"] = median(
            clocked(lambda query=query: space.search_query(query)) for query in queries
        )
        space.close()
    return results


def clocked(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Milliseconds."""
    start = clock()
    work()
    return 1000 * (clock() - start)


if __name__ == "__main__":
    main()
