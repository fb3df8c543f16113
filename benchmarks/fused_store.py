"""What a third vector for captioned pictures costs the store: to fill, to keep, to open, to search.

    python -m benchmarks.fused_store [--records 5000 20000]

Two stores hold the same captioned pictures: one with a vector of the text and one of the picture,
as of a model that does not fuse, the other with the fused vector (here the mean of the two) beside
them. Vectors are random, unit and of 384 numbers; the index is ``flat``, whose time depends on no
spectrum. Each round opens both, in turn, in fresh processes: opening is until the store has
answered its first query, a search is the mean of a hundred later ones, ten hits each. Processor
time throughout; medians of the rounds, and of the ratio of a round's two its least and most.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from unisem.records import EmbeddedRecord, Record, Vector, VectorKind

_BATCH = 1000
_DIMENSION = 384
_QUERIES = 100
_MEGABYTE = 1_000_000


def main() -> None:
    """Print the table; or, asked by that, fill a store or search one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, nargs="+", default=[5000, 20_000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fused", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill is not None:
        _say(fill(options.fill, options.records[0], options.fused))
    elif options.ask is not None:
        _say(ask(options.ask))
    else:
        print("| records | vectors | fill, s | on disk, MB | open, ms | search, ms |")
        print("|---|---|---|---|---|---|")
        for records in options.records:
            compare(records, options.rounds)


def compare(records: int, rounds: int) -> None:
    """Print the lines of one size."""
    with tempfile.TemporaryDirectory() as parent:
        places = [Path(parent) / name for name in ("two", "three")]
        filled = [
            _run("--fill", str(place), "--records", str(records), *how)
            for place, how in zip(places, ([], ["--fused"]), strict=True)
        ]
        asked = [[_run("--ask", str(place)) for place in places] for _ in range(rounds)]
    for number, name in enumerate(("text, picture", "and fused")):
        medians = {
            what: statistics.median(pair[number][what] for pair in asked) for what in asked[0][0]
        }
        cells = [f"{filled[number][what]:.0f}" for what in ("seconds", "megabytes")]
        cells += [f"{medians[what]:.3g}" for what in ("open", "search")]
        print(f"| {records:,} | {name} | {' | '.join(cells)} |")
    cells = [f"{filled[1][what] / filled[0][what]:.2f}" for what in ("seconds", "megabytes")]
    for what in ("open", "search"):
        ratios = [three[what] / two[what] for two, three in asked]
        cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"| {records:,} | ratio | {' | '.join(cells)} |", flush=True)


def fill(directory: Path, records: int, fused: bool) -> dict[str, float]:
    """Write and compact a store of captioned pictures; processor seconds, and megabytes."""
    from unisem.images.library import ImageLibrary
    from unisem.images.reference import ImageRef
    from unisem.stores.faiss import FaissStore

    rng = np.random.default_rng(0)
    root, seconds = directory.parent / "pictures", 0.0
    store = FaissStore(directory, ImageLibrary(directory), index="flat", durability="relaxed")
    for start in range(0, records, _BATCH):
        count = min(_BATCH, records - start)
        texts, images = _unit(rng, count), _unit(rng, count)
        both = texts + images
        both /= np.linalg.norm(both, axis=1, keepdims=True)
        items = []
        for row in range(count):
            number = start + row
            path = root / f"{number}.jpg"
            image = ImageRef(path=path, root=root, sha256=f"{number:064x}", mime_type="image/jpeg")
            vectors: dict[VectorKind, Vector] = {"text": texts[row], "image": images[row]}
            if fused:
                vectors["both"] = both[row]
            record = Record(id=f"{number}", text=f"caption {number}", image=image)
            items.append(EmbeddedRecord(record, vectors))
        begun = time.process_time()
        store.add(items)
        seconds += time.process_time() - begun
    begun = time.process_time()
    store.compact()
    store.close()
    seconds += time.process_time() - begun
    size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    return {"seconds": seconds, "megabytes": size / _MEGABYTE}


def ask(directory: Path) -> dict[str, float]:
    """Processor milliseconds to open a store until its first answer, and of a later search."""
    from unisem.images.library import ImageLibrary
    from unisem.stores.faiss import FaissStore

    queries = _unit(np.random.default_rng(1), _QUERIES + 1)
    begun = time.process_time()
    store = FaissStore(directory, ImageLibrary(directory))
    store.search(queries[:1], 10)
    opened = time.process_time()
    for query in queries[1:]:
        assert len(store.search(query[None], 10)[0]) == 10
    searched = time.process_time()
    store.close()
    return {"open": 1000 * (opened - begun), "search": 1000 * (searched - opened) / _QUERIES}


def _unit(rng: np.random.Generator, count: int) -> Vector:
    rows: Vector = rng.standard_normal((count, _DIMENSION), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _run(*line: str) -> dict[str, float]:
    """Do a part in a process of its own; what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fused_store", *line],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _say(found: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
