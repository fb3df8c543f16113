"""What a calibration costs a store, and what it does to a graph: beside raw, in one run.

    python -m benchmarks.calibration_cost [--records 100000] [--index flat hnsw] [--folder /dev/shm]

Made-up vectors of 512 dimensions, half of texts, half of pictures, a gap apart, in crowds; texts
and pictures ask. One thread; CPU time. A graph's recall is its share of the ten best that an exact
scan finds by the same scores, at several multiples of the usual effort.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from unisem import Record
from unisem.calibration import (
    Calibration,
    Choices,
    PairChoice,
    QueryKind,
    Sample,
    fit_calibration,
)
from unisem.images.library import ImageLibrary
from unisem.images.reference import ImageRef
from unisem.records import EmbeddedRecord, Vector
from unisem.stores.faiss import FaissStore
from unisem.stores.faiss.index_settings import IndexSettings
from unisem.stores.selection import EVERYTHING, Match

_DIMENSION = 512
_MEANT = 64  # dimensions that things vary in
_CROWDS = 300
_BATCH = 5000  # rows an add
_QUERIES = 60
_K = 10
_EFFORTS = (0.5, 1.0, 2.0, 4.0)
_WAYS = ("all", "across")  # among all vectors, or among those of the other kind


def main() -> None:
    """Measure, and print a row at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--index", nargs="+", default=["flat", "hnsw"])
    parser.add_argument("--folder", type=Path, help="/dev/shm, for example")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    seen = crowd(rng, 2000), crowd(rng, 2000)
    calibration = fitted(*seen)
    texts, images = crowd(rng, options.records // 2), crowd(rng, options.records // 2)
    stored = {"text": apart(texts, 1), "image": apart(images, -1)}
    asked = [(kind, apart(crowd(rng, _QUERIES // 2), side)) for kind, side in _SIDES]
    console = Console()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for index in options.index:
            for name, present in (("raw", None), ("calibrated", calibration)):
                place = Path(folder) / f"{index} {name}"
                console.print(row(f"{index}, {name}", place, index, present, stored, asked))


_SIDES: tuple[tuple[QueryKind, int], ...] = (("text", 1), ("image", -1))


def crowd(rng: np.random.Generator, count: int) -> Vector:
    """Things in crowds that vary in fewer dimensions, without a gap, ``(n, d)``."""
    fixed = np.random.default_rng(9)
    centres = fixed.normal(size=(_CROWDS, _MEANT))
    turn = fixed.normal(size=(_MEANT, _DIMENSION)) / np.sqrt(_MEANT)
    meant = centres[rng.integers(_CROWDS, size=count)] + rng.normal(size=(count, _MEANT))
    things: Vector = (meant @ turn + 0.3 * rng.normal(size=(count, _DIMENSION))).astype(np.float32)
    return things


def apart(things: Vector, side: int) -> Vector:
    """Seen from one side of a gap, at length 1."""
    gap = np.random.default_rng(8).normal(size=_DIMENSION).astype(np.float32)
    rows = things + np.float32(0.8 * side) * gap
    found: Vector = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def fitted(texts: Vector, images: Vector) -> Calibration:
    """All steps for all pairs, which is the dearest that there is."""
    numbers = np.arange(len(texts))
    seen = apart(texts, 1), apart(images, -1)
    sample = Sample(seen[0], seen[0], seen[1], numbers, numbers + len(numbers))
    found = fit_calibration(sample, fingerprint="none")
    pairs = dict.fromkeys(found.pairs, PairChoice(alpha=0.75, k=32))
    return replace(found, choices=Choices(), pairs=pairs)


def items(stored: dict[str, Vector]) -> Iterator[EmbeddedRecord]:
    """A text and a picture by turns."""
    image = ImageRef(path=Path("/pictures/a.png"), root=Path("/pictures"), sha256="00")
    for number, (text, picture) in enumerate(zip(stored["text"], stored["image"], strict=True)):
        yield EmbeddedRecord(Record(id=f"t{number}", text="a"), {"text": text})
        yield EmbeddedRecord(Record(id=f"p{number}", image=image), {"image": picture})


def row(
    name: str,
    place: Path,
    index: str,
    calibration: Calibration | None,
    stored: dict[str, Vector],
    asked: list[tuple[QueryKind, Vector]],
) -> Table:
    """One store's figures."""
    table = Table("", name)
    store = opened(place, 1.0)
    store.calibrate(calibration)
    every = list(items(stored))

    def fill() -> None:
        for start in range(0, len(every), _BATCH):
            store.add(every[start : start + _BATCH])

    table.add_row("ingest, s", f"{cpu(fill):.1f}")
    exact = {way: answers(store, asked, way)[0] for way in _WAYS}
    table.add_row("index, s", f"{cpu(lambda: store.compact(index)):.1f}")
    store.close()
    first = asked[0][1][:1]

    def open_and_ask() -> None:
        with closing(opened(place, 1.0)) as reader:
            reader.search(first, _K)

    table.add_row("open to the first answer, s", f"{cpu(open_and_ask):.3f}")
    for effort in _EFFORTS if index == "hnsw" else (1.0,):
        store = opened(place, effort)
        for way in _WAYS:
            answers(store, asked, way)  # warm
            found, spent = answers(store, asked, way)
            recall = np.mean([len(a & b) / _K for a, b in zip(found, exact[way], strict=True)])
            said = f"{spent:.2f} (recall {recall:.3f})"
            table.add_row(f"query, {way}, effort {effort:g}, ms", said)
        store.close()
    return table


def opened(place: Path, effort: float) -> FaissStore:
    """The store of a place."""
    settings = IndexSettings(effort=effort)
    return FaissStore(place, ImageLibrary(place), index=settings, durability="relaxed")


def answers(
    store: FaissStore, asked: list[tuple[QueryKind, Vector]], way: str
) -> tuple[list[set[str]], float]:
    """The ids of the ten best of each query, and the median of its milliseconds."""
    found, times = [], []
    for kind, vectors in asked:
        other: Match = "image" if kind == "text" else "text"
        match: Match = other if way == "across" else "any"
        for vector in vectors:
            began = time.process_time()
            (hits,) = store.search(vector[None], _K, EVERYTHING, match, kind)
            times.append(1e3 * (time.process_time() - began))
            found.append({hit.record.id for hit in hits})
    return found, median(times)


def cpu(action: Callable[[], object]) -> float:
    """Seconds of CPU time."""
    began = time.process_time()
    action()
    return time.process_time() - began


if __name__ == "__main__":
    main()
